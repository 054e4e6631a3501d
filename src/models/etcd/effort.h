// How much one read may be: so that no client keeps the others waiting, nor fills the memory.
#pragma once

#include <cstddef>

namespace quorate::models::etcd {

class Effort {
 public:
  Effort(std::size_t rows, std::size_t bytes) : rows_(rows), bytes_(bytes) {}

  void look_at_row() { rows_ == 0 ? void(spent_ = true) : void(--rows_); }
  void give(std::size_t bytes) { bytes_ < bytes ? void(spent_ = true) : void(bytes_ -= bytes); }
  [[nodiscard]] std::size_t bytes_left() const { return bytes_; }
  // More was wanted than there was: what was read is not the whole.
  [[nodiscard]] bool spent() const { return spent_; }

 private:
  std::size_t rows_;
  std::size_t bytes_;
  bool spent_ = false;
};

}  // namespace quorate::models::etcd
