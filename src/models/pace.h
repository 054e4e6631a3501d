// How much may be done at a stretch, before others get their turn. Counted, not timed: what is done does not
// depend on a clock. A unit is about a microsecond: a row that is looked at, or a kilobyte of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quorate::models {

class Pace {
 public:
  static constexpr std::size_t unlimited = SIZE_MAX;
  static constexpr std::size_t of_a_command = 4;  // that is small
  static constexpr std::size_t of_a_row(std::size_t bytes) { return 1 + bytes / 1024; }

  explicit Pace(std::size_t units = unlimited) : left_(units) {}
  void refill(std::size_t units) { left_ = units; }
  void spend(std::size_t units) {
    if (left_ != unlimited) left_ -= std::min(left_, units);
  }
  [[nodiscard]] std::size_t left() const { return left_; }
  [[nodiscard]] bool spent() const { return left_ == 0; }

 private:
  std::size_t left_;
};

}  // namespace quorate::models
