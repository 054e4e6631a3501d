#include "core/bytes.h"

#include <algorithm>

namespace quorate {

Bytes Bytes::copy(std::string_view text) {
  if (text.empty()) return {};
  return adopt(std::string(text));
}

Bytes Bytes::adopt(std::string&& text) {
  if (text.empty()) return {};
  auto* owner = new Owner{.text = std::move(text)};
  return Bytes(owner, owner->text.data(), owner->text.size());
}

Bytes Bytes::slice(std::size_t offset, std::size_t length) const {
  Bytes part = *this;
  offset = std::min(offset, size_);
  part.data_ += offset;
  part.size_ = std::min(length, size_ - offset);
  return part;
}

}  // namespace quorate
