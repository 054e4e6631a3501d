// Stands around a protocol, passes everything on, and tells the checks what the protocol wrote, committed and
// claimed. Gated events count when the protocol's host would be told them.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "core/replicated_log.h"
#include "sim/checks.h"
#include "sim/read_judge.h"

namespace quorate::sim {

class Probe final : public replicated_log::Protocol {
 public:
  Probe(NodeId node, std::unique_ptr<replicated_log::Protocol> inner,
        const replicated_log::Settings& settings, Checks& checks, const ReadJudge& reads)
      : node_(node), inner_(std::move(inner)), settings_(settings), checks_(&checks), reads_(&reads) {}

  void start(Env& env) override {
    inner_->start(env);
    now_ = env.now;
    look();
  }
  void step(Env& env, In&& input) override {
    now_ = env.now;
    if (const auto* persisted = std::get_if<Persisted>(&input)) {
      release(persisted->upto);
    } else if (const auto* ask = std::get_if<Ask<replicated_log::Request>>(&input)) {
      if (const auto* read = std::get_if<replicated_log::ReadBarrier>(&ask->request)) asked(*read);
    }
    inner_->step(env, std::move(input));
    look();
  }
  // Whether they hold can change with a step only.
  [[nodiscard]] std::optional<std::string> check_invariants() const override {
    return std::exchange(stepped_, false) ? inner_->check_invariants() : std::nullopt;
  }
  [[nodiscard]] std::string describe() const override { return inner_->describe(); }
  [[nodiscard]] std::string explain(const Bytes& message) const override { return inner_->explain(message); }

 private:
  void look() {
    stepped_ = true;
    inner_->take_into(fresh_);
    for (const auto& effect : fresh_) {
      if (const auto* persist = std::get_if<Persist>(&effect)) {
        checks_->wrote(node_, persist->ticket, persist->writes);
      } else if (const auto* emit = std::get_if<Emit<replicated_log::Event>>(&effect)) {
        if (emit->after > durable_) {
          gated_.push_back(*emit);
        } else {
          tell(emit->event);
        }
      }
    }
    move_effects(fresh_, effects_);
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
      leads_ = leader->leader == node_ ? leader->epoch : Epoch();
      if (leader->leader == node_) checks_->leads(node_, leader->epoch);
    } else if (const auto* ready = std::get_if<replicated_log::ReadReady>(&event)) {
      for (const std::uint64_t id : ready->ids) judge(id, ready->index);
    } else if (const auto* refused = std::get_if<replicated_log::Refused>(&event)) {
      std::erase_if(asked_, [&](const ReadJudge::Asked& each) { return each.id == refused->id; });
    } else if (const auto* restore = std::get_if<replicated_log::Restore>(&event)) {
      checks_->restored(node_, restore->meta.index);
    }
  }

  // Asked again, it is the same read: an answer to what was asked first is fresh enough.
  void asked(const replicated_log::ReadBarrier& read) {
    if (std::ranges::find(asked_, read.id, &ReadJudge::Asked::id) != asked_.end()) return;
    asked_.push_back({read.id, read.mode, now_, leads_, checks_->latest_epoch(), checks_->fresh_from()});
  }

  void judge(std::uint64_t id, Index index) {
    const auto at = std::ranges::find(asked_, id, &ReadJudge::Asked::id);
    if (at == asked_.end()) return;
    const bool leads = !at->leads.none() && at->leads == leads_;
    const auto* copy = checks_->copies().find(node_);
    auto broken = reads_->ready(node_, *at, index, leads && copy != nullptr, now_,
                                copy != nullptr ? copy->membership() : settings_.initial, settings_);
    asked_.erase(at);
    if (broken) checks_->fail("fresh reads", std::move(*broken));
  }

  NodeId node_;
  std::unique_ptr<replicated_log::Protocol> inner_;
  replicated_log::Settings settings_;
  Checks* checks_;
  const ReadJudge* reads_;
  Instant now_{};
  Epoch leads_;  // none while another does
  std::vector<ReadJudge::Asked> asked_;
  std::vector<Effect<Bytes, replicated_log::Event>> fresh_;
  mutable bool stepped_ = false;  // since the invariants were looked at
  Ticket durable_;
  std::deque<Emit<replicated_log::Event>> gated_;
};

}  // namespace quorate::sim
