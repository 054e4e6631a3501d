// A protocol behind encoded bytes. Simulator and runtime know only this, so the codec is exercised in every
// run, and a Byzantine node is one more implementation of the same interface.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "core/bytes.h"
#include "core/codec.h"
#include "core/effects.h"

namespace quorate {

template <class R, class E>
class Driver {
 public:
  using Request = R;
  using Event = E;
  using Out = Outbox<Bytes, E>;
  using In = Input<Bytes, R>;

  Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;

  virtual void start(Env& env) = 0;
  virtual void step(Env& env, In&& input) = 0;
  [[nodiscard]] virtual std::optional<std::string> check_invariants() const = 0;
  [[nodiscard]] virtual std::string describe() const = 0;
  // A message in words (JSON), for traces; an undecodable one is told as such.
  [[nodiscard]] virtual std::string explain(const Bytes& message) const = 0;

  [[nodiscard]] std::vector<Effect<Bytes, E>> take() { return std::exchange(effects_, {}); }
  void take_into(std::vector<Effect<Bytes, E>>& into) { move_effects(effects_, into); }

 protected:
  std::vector<Effect<Bytes, E>> effects_;
};

// Wraps a typed protocol.
template <class P>
class Erased final : public Driver<typename P::Request, typename P::Event> {
 public:
  using Message = typename P::Message;
  using Base = Driver<typename P::Request, typename P::Event>;

  template <class... Args>
  explicit Erased(std::in_place_t, Args&&... args) : protocol_(std::forward<Args>(args)...) {}

  void start(Env& env) override {
    protocol_.start(env, out_);
    out_.take_into(this->effects_);
  }

  void step(Env& env, typename Base::In&& input) override {
    using TypedInput = Input<Message, typename P::Request>;
    if (auto* received = std::get_if<Receive<Bytes>>(&input)) {
      auto message = codec::decode<Message>(received->message);
      if (!message) return;  // malformed: dropped, as a lost message would be
      protocol_.step(env, TypedInput(Receive<Message>{received->from, std::move(*message)}), out_);
    } else if (auto* fired = std::get_if<TimerFired>(&input)) {
      protocol_.step(env, TypedInput(*fired), out_);
    } else if (auto* persisted = std::get_if<Persisted>(&input)) {
      protocol_.step(env, TypedInput(*persisted), out_);
    } else {
      protocol_.step(env, TypedInput(std::move(std::get<Ask<typename P::Request>>(input))), out_);
    }
    out_.take_into(this->effects_);
  }

  std::optional<std::string> check_invariants() const override { return protocol_.check_invariants(); }
  std::string describe() const override { return protocol_.describe(); }
  std::string explain(const Bytes& message) const override {
    auto decoded = codec::decode<Message>(message);
    return decoded ? codec::to_json(*decoded) : "\"malformed\"";
  }

  P& protocol() { return protocol_; }
  const P& protocol() const { return protocol_; }

 private:
  P protocol_;
  Outbox<Message, typename P::Event> out_;
};

}  // namespace quorate
