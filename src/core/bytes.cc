#include "core/bytes.h"

#include <cstring>
#include <new>

namespace quorate {

struct Bytes::Adopter : Owner {
  explicit Adopter(std::string&& taken) : Owner{.inside = false}, text(std::move(taken)) {}
  std::string text;
};

Bytes Bytes::copy(std::string_view text) {
  if (text.empty()) return {};
  Bytes made = uninitialized(text.size());
  std::memcpy(const_cast<char*>(made.data_), text.data(), text.size());
  return made;
}

Bytes Bytes::uninitialized(std::size_t size) {
  void* memory = ::operator new(sizeof(Owner) + size);
  auto* owner = new (memory) Owner{.inside = true};
  return Bytes(owner, static_cast<char*>(memory) + sizeof(Owner), size);
}

Bytes Bytes::adopt(std::string&& text) {
  constexpr std::size_t short_text = 64;  // cheaper to copy than to keep two pieces of memory
  if (text.size() <= short_text) return copy(text);
  auto* owner = new Adopter(std::move(text));
  return Bytes(owner, owner->text.data(), owner->text.size());
}

void Bytes::destroy(Owner* owner) noexcept {
  if (owner->inside) {
    owner->~Owner();
    ::operator delete(owner);
  } else {
    delete static_cast<Adopter*>(owner);
  }
}

}  // namespace quorate
