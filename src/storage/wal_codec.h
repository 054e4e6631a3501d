// The body of a batch: groups of writes, or a checkpoint. Payloads are copied once, into the buffer that is
// written.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string_view>

#include "core/entry.h"
#include "core/ids.h"
#include "storage/wal_state.h"

namespace quorate::storage::wal {

// Grows without clearing what it grows by; keeps a page free in front for the bytes that share the first
// page.
class WriteBuffer {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] char* data() { return memory_.get() + front; }
  [[nodiscard]] std::string_view view(std::size_t from) const {
    return {memory_.get() + front + from, size_ - from};
  }
  char* room(std::size_t bytes) {  // behind the content, for at least so many bytes
    if (size_ + bytes > capacity_) grow(size_ + bytes);
    return memory_.get() + front + size_;
  }
  void advance_to(const char* end) { size_ = static_cast<std::size_t>(end - memory_.get()) - front; }
  void clear();  // gives memory of an unusually large batch back

  static constexpr std::size_t front = 4096;

 private:
  void grow(std::size_t wanted);

  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

using States = std::map<KeyspaceId, KeyspaceState>;

void encode_group(WriteBuffer& out, KeyspaceId keyspace, std::span<const Write> writes);
void encode_checkpoint(WriteBuffer& out, const States& states);

// Total: false on anything malformed. Payloads share the body's memory. The visitor may stop it with false.
using WriteVisitor = std::function<bool(KeyspaceId, Write)>;
[[nodiscard]] bool decode_groups(const Bytes& body, const WriteVisitor& visit);
[[nodiscard]] bool decode_checkpoint(const Bytes& body, States& states);

}  // namespace quorate::storage::wal
