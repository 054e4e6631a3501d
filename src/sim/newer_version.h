// A later release, as the present one may meet it in a rolling upgrade or find its files after a downgrade:
// its messages, records and log payloads carry fields behind those known today, and among its messages are
// kinds that nobody knows yet.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/replicated_log.h"

namespace quorate::sim {

namespace newer {

// A described struct, or a variant of such, as a release with more fields would encode it. What is not
// encoded so comes back as it is.
[[nodiscard]] Bytes extend_struct(const Bytes& encoded);
[[nodiscard]] Bytes extend_variant(const Bytes& encoded);
// An alternative that no release has.
[[nodiscard]] Bytes unknown_alternative();
inline constexpr std::uint64_t unknown_every = 16;  // messages

}  // namespace newer

class NewerVersion final : public replicated_log::Protocol {
 public:
  explicit NewerVersion(std::unique_ptr<replicated_log::Protocol> inner) : inner_(std::move(inner)) {}

  void start(Env& env) override {
    inner_->start(env);
    extend_effects();
  }
  void step(Env& env, In&& input) override;
  [[nodiscard]] std::optional<std::string> check_invariants() const override {
    return inner_->check_invariants();
  }
  [[nodiscard]] std::string describe() const override { return inner_->describe() + " (newer)"; }
  [[nodiscard]] std::string explain(const Bytes& message) const override { return inner_->explain(message); }

 private:
  void extend_effects();

  std::unique_ptr<replicated_log::Protocol> inner_;
  std::uint64_t sent_ = 0;
};

}  // namespace quorate::sim
