// Stands around a protocol, passes everything on, and tells the checks what the protocol wrote, committed and
// claimed. Gated events count when the protocol's host would be told them.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "core/replicated_log.h"
#include "sim/checks.h"

namespace quorate::sim {

class Probe final : public replicated_log::Protocol {
 public:
  Probe(NodeId node, std::unique_ptr<replicated_log::Protocol> inner, Checks& checks)
      : node_(node), inner_(std::move(inner)), checks_(&checks) {}

  void start(Env& env) override {
    inner_->start(env);
    look();
  }
  void step(Env& env, In input) override {
    if (const auto* persisted = std::get_if<Persisted>(&input)) release(persisted->upto);
    inner_->step(env, std::move(input));
    look();
  }
  [[nodiscard]] std::optional<std::string> check_invariants() const override {
    return inner_->check_invariants();
  }
  [[nodiscard]] std::string describe() const override { return inner_->describe(); }
  [[nodiscard]] std::string explain(const Bytes& message) const override { return inner_->explain(message); }

 private:
  void look() {
    auto fresh = inner_->take();
    for (const auto& effect : fresh) {
      if (const auto* persist = std::get_if<Persist>(&effect)) {
        checks_->wrote(node_, persist->writes);
      } else if (const auto* emit = std::get_if<Emit<replicated_log::Event>>(&effect)) {
        if (emit->after > durable_) {
          gated_.push_back(*emit);
        } else {
          tell(emit->event);
        }
      }
    }
    if (effects_.empty()) {
      effects_ = std::move(fresh);
    } else {
      effects_.insert(effects_.end(), std::move_iterator(fresh.begin()), std::move_iterator(fresh.end()));
    }
  }

  void release(Ticket upto) {
    if (upto > durable_) durable_ = upto;
    for (auto it = gated_.begin(); it != gated_.end();) {
      if (it->after > durable_) {
        ++it;
        continue;
      }
      const auto event = std::move(it->event);
      it = gated_.erase(it);
      tell(event);
    }
  }

  void tell(const replicated_log::Event& event) {
    if (const auto* committed = std::get_if<replicated_log::Committed>(&event)) {
      checks_->committed(node_, committed->entries);
    } else if (const auto* leader = std::get_if<replicated_log::LeaderChanged>(&event)) {
      if (leader->leader == node_) checks_->leads(node_, leader->epoch);
    } else if (const auto* restore = std::get_if<replicated_log::Restore>(&event)) {
      checks_->restored(node_, restore->meta.index);
    }
  }

  NodeId node_;
  std::unique_ptr<replicated_log::Protocol> inner_;
  Checks* checks_;
  Ticket durable_;
  std::deque<Emit<replicated_log::Event>> gated_;
};

}  // namespace quorate::sim
