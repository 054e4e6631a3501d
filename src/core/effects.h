// The vocabulary between a protocol and whatever drives it.
//
// A protocol is a plain object: inputs go in, ordered effects come out. It owns no clock, socket, thread,
// lock, file or random device. A protocol type P has
//
//   using Message = std::variant<...>;  using Request = ...;  using Event = ...;   (described structs)
//   void start(Env&, Outbox<Message, Event>&);
//   void step(Env&, const Input<Message, Request>&, Outbox<Message, Event>&);      total: bad input is
//   dropped std::optional<std::string> check_invariants() const;                           what is broken, if
//   anything std::string describe() const;                                                  one line for
//   traces
//
// Effects gated by a ticket (`after`) are withheld until that Persist is durable; a crash drops what is not
// durable and every effect gated on it. Effects that are not gated may overtake gated ones: messages may be
// reordered, and protocols are built for that.
#pragma once

#include <cstdint>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include "core/codec.h"
#include "core/entry.h"
#include "core/ids.h"
#include "core/rng.h"
#include "core/time.h"

namespace quorate {

struct Env {
  Instant now;
  Rng& rng;
};

// Effects.
template <class M>
struct Send {
  NodeId to;
  M message;
  Ticket after;  // none: at once
};
struct Persist {  // atomic, and durable in ticket order
  Ticket ticket;
  std::vector<Write> writes;
};
struct SetTimer {  // replaces an earlier one of the same id
  TimerId id;
  Instant at;
};
struct CancelTimer {
  TimerId id;
};
template <class E>
struct Emit {
  E event;
  Ticket after;
};
template <class M, class E>
using Effect = std::variant<Send<M>, Persist, SetTimer, CancelTimer, Emit<E>>;

// Inputs.
template <class M>
struct Receive {
  NodeId from;
  M message;
};
struct TimerFired {
  TimerId id;
};
struct Persisted {  // every Persist with a ticket up to this one is durable
  Ticket upto;
};
template <class R>
struct Ask {
  R request;
};
template <class M, class R>
using Input = std::variant<Receive<M>, TimerFired, Persisted, Ask<R>>;

// Behind those in `to`; where there are none the vectors change places, and their memory is used again.
template <class M, class E>
void move_effects(std::vector<Effect<M, E>>& from, std::vector<Effect<M, E>>& to) {
  if (to.empty()) return from.swap(to);
  to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
  from.clear();
}

// Where a protocol puts its effects; messages are encoded here, so that one which goes to many is encoded
// once. It lives as long as the protocol instance, since it numbers the tickets.
template <class M, class E>
class Outbox {
 public:
  void send(NodeId to, const M& message, Ticket after = {}) {
    send_encoded(to, codec::encode(message), after);
  }
  void send_encoded(NodeId to, Bytes message, Ticket after = {}) {  // of an M
    add(Send<Bytes>{to, std::move(message), after});
  }
  [[nodiscard]] Ticket persist(std::vector<Write> writes) {
    last_ = last_.next();
    add(Persist{last_, std::move(writes)});
    return last_;
  }
  void set_timer(TimerId id, Instant at) { add(SetTimer{id, at}); }
  void cancel_timer(TimerId id) { add(CancelTimer{id}); }
  void emit(E event, Ticket after = {}) { add(Emit<E>{std::move(event), after}); }

  [[nodiscard]] Ticket last_ticket() const { return last_; }
  [[nodiscard]] std::vector<Effect<Bytes, E>> take() { return std::exchange(effects_, {}); }
  void take_into(std::vector<Effect<Bytes, E>>& into) { move_effects(effects_, into); }

 private:
  template <class T>
  void add(T&& effect) {
    if (effects_.capacity() == 0) effects_.reserve(4);  // most steps have more than one
    effects_.emplace_back(std::forward<T>(effect));
  }

  std::vector<Effect<Bytes, E>> effects_;
  Ticket last_;
};

}  // namespace quorate
