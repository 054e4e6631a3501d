// How much one read may be: so that no client keeps the others waiting, nor fills the memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quorate::models::etcd {

class Effort {
 public:
  // `passed`: bytes of the rows that are looked at, given or not.
  Effort(std::size_t rows, std::size_t bytes, std::size_t passed = SIZE_MAX)
      : rows_(rows), bytes_(bytes), passed_(passed) {}

  void look_at_row(std::size_t bytes) {
    rows_ == 0 || passed_ < bytes ? void(spent_ = true) : void(--rows_);
    if (!spent_) passed_ -= bytes;
  }
  void give(std::size_t bytes) { bytes_ < bytes ? void(spent_ = true) : void(bytes_ -= bytes); }
  [[nodiscard]] std::size_t bytes_left() const { return bytes_; }
  // More was wanted than there was: what was read is not the whole.
  [[nodiscard]] bool spent() const { return spent_; }

 private:
  std::size_t rows_;
  std::size_t bytes_;
  std::size_t passed_;
  bool spent_ = false;
};

}  // namespace quorate::models::etcd
