// The canonical form of a protocol object: equal for two objects exactly if no sequence of inputs tells them
// apart, as far as the writer of canonical() can say. Explorers compare states by it (src/explore).
//
// Instants count relative to the node's clock, tickets relative to what is durable, and a node's id can be
// written as another's, for protocols whose rules treat all nodes alike (symmetry).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/codec.h"
#include "core/ids.h"
#include "core/time.h"

namespace quorate {

class Canonical {
 public:
  // `names[i]` is written for node i + 1; a node beyond them keeps its own.
  // `timed`: the driver does not let time pass wherever that makes a difference, so all instants count.
  Canonical(Instant now, std::span<const std::uint64_t> names, bool timed = false)
      : now_(now), names_(names), timed_(timed) {}

  void number(std::uint64_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  template <class Tag>
  void add(const Id<Tag>& id) {
    number(id.value);
  }
  void bytes(std::string_view value) {
    number(value.size());
    out_.append(value);
  }
  template <class T>
  void encoded(const T& value) {
    bytes(codec::encode(value).view());
  }
  void node(NodeId id) { number(renamed(id)); }
  [[nodiscard]] std::uint64_t renamed(NodeId id) const {
    return id.none() || id.value > names_.size() ? id.value : names_[id.value - 1];
  }
  // How far off a write is: 0 once durable.
  void ticket(Ticket t, Ticket durable) { number(t <= durable ? 0 : t - durable); }
  // How long until `at`, 0 if it is past: for what is only asked whether it is over.
  void until(Instant at) { number(at <= now_ ? 0 : static_cast<std::uint64_t>((at - now_).count())); }

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] bool timed() const { return timed_; }
  [[nodiscard]] const std::string& text() const { return out_; }

 private:
  Instant now_;
  std::span<const std::uint64_t> names_;
  bool timed_;
  std::string out_;
};

}  // namespace quorate
