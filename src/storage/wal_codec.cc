#include "storage/wal_codec.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/codec.h"

namespace quorate::storage::wal {
namespace {

using codec::detail::Reader;

constexpr std::size_t varint_max = 10;
constexpr std::size_t kept_memory = 8U << 20U;

enum class Tag : std::uint8_t { put = 1, append = 2, truncate = 3, snapshot = 4 };

// The forms of core/codec.h, from the front: what is to come is known piece by piece only.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}
  void varint(std::uint64_t value) {
    for (; value >= 0x80U; value >>= 7U) *at_++ = static_cast<char>(value | 0x80U);
    *at_++ = static_cast<char>(value);
  }
  void tag(Tag value) { varint(static_cast<std::uint64_t>(value)); }
  void text(std::string_view value) {
    varint(value.size());
    if (!value.empty()) std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
  }
  [[nodiscard]] char* at() const { return at_; }

 private:
  char* at_;
};

void encode_write(WriteBuffer& out, const PutRecord& write) {
  Writer writer(out.room(3 * varint_max + write.key.size() + write.value.size()));
  writer.tag(Tag::put);
  writer.text(write.key);
  writer.text(write.value.view());
  out.advance_to(writer.at());
}

// Indexes are contiguous, so only the first is written.
void encode_write(WriteBuffer& out, const AppendEntries& write) {
  Writer head(out.room(3 * varint_max));
  head.tag(Tag::append);
  head.varint(write.entries.empty() ? 0 : write.entries.front().index.value);
  head.varint(write.entries.size());
  out.advance_to(head.at());
  for (const auto& entry : write.entries) {
    Writer writer(out.room(3 * varint_max + entry.payload.size()));
    writer.varint(entry.epoch.value);
    writer.varint(static_cast<std::uint64_t>(entry.kind));
    writer.text(entry.payload.view());
    out.advance_to(writer.at());
  }
}

void encode_write(WriteBuffer& out, const TruncateFrom& write) {
  Writer writer(out.room(2 * varint_max));
  writer.tag(Tag::truncate);
  writer.varint(write.index.value);
  out.advance_to(writer.at());
}

void encode_write(WriteBuffer& out, const SnapshotTaken& write) {
  const Bytes meta = codec::encode(write.meta);
  Writer writer(out.room(2 * varint_max + meta.size()));
  writer.tag(Tag::snapshot);
  writer.text(meta.view());
  out.advance_to(writer.at());
}

Bytes read_text(Reader& in) { return in.bytes(in.varint()); }

std::optional<SnapshotMeta> read_meta(Reader& in) {
  auto meta = codec::decode<SnapshotMeta>(read_text(in));
  if (meta) return std::move(*meta);
  in.fail(meta.error());
  return std::nullopt;
}

AppendEntries read_entries(Reader& in) {
  AppendEntries write;
  Index index(in.varint());
  const std::uint64_t count = in.varint();
  if (count > in.left()) in.fail(codec::Error::truncated);  // an entry takes at least one byte
  if (!in.ok()) return write;
  write.entries.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i, ++index) {
    const Epoch epoch(in.varint());
    const std::uint64_t number = in.varint();
    const auto kind = static_cast<EntryKind>(number);
    if (number > UINT8_MAX || !known(kind)) in.fail(codec::Error::bad_value);
    write.entries.push_back({epoch, index, kind, read_text(in)});
  }
  return write;
}

std::optional<Write> read_write(Reader& in) {
  switch (static_cast<Tag>(in.varint())) {
    case Tag::put: {
      const Bytes key = read_text(in);
      return PutRecord{key.str(), read_text(in)};
    }
    case Tag::append: return read_entries(in);
    case Tag::truncate: return TruncateFrom{Index(in.varint())};
    case Tag::snapshot: {
      auto meta = read_meta(in);
      if (meta) return SnapshotTaken{std::move(*meta)};
      return std::nullopt;
    }
  }
  in.fail(codec::Error::bad_tag);
  return std::nullopt;
}

}  // namespace

void WriteBuffer::grow(std::size_t wanted) {
  const std::size_t capacity = std::max<std::size_t>({wanted, 2 * capacity_, 64U << 10U});
  auto memory = std::make_unique_for_overwrite<char[]>(front + capacity);
  if (size_ != 0) std::memcpy(memory.get() + front, memory_.get() + front, size_);
  memory_ = std::move(memory);
  capacity_ = capacity;
}

void WriteBuffer::clear() {
  size_ = 0;
  if (capacity_ <= kept_memory) return;
  memory_.reset();
  capacity_ = 0;
}

void encode_group(WriteBuffer& out, KeyspaceId keyspace, std::span<const Write> writes) {
  Writer writer(out.room(2 * varint_max));
  writer.varint(keyspace.value);
  writer.varint(writes.size());
  out.advance_to(writer.at());
  for (const auto& write : writes) {
    std::visit([&](const auto& shape) { encode_write(out, shape); }, write);
  }
}

void encode_checkpoint(WriteBuffer& out, const States& states) {
  Writer head(out.room(varint_max));
  head.varint(states.size());
  out.advance_to(head.at());
  for (const auto& [keyspace, state] : states) {
    const Bytes meta = state.snapshot() ? codec::encode(*state.snapshot()) : Bytes();
    Writer writer(out.room(5 * varint_max + meta.size()));
    writer.varint(keyspace.value);
    writer.varint(state.last().value);
    writer.text(meta.view());  // empty: no snapshot was taken
    writer.varint(state.records().size());
    out.advance_to(writer.at());
    for (const auto& [key, value] : state.records()) {
      Writer record(out.room(2 * varint_max + key.size() + value.size()));
      record.text(key);
      record.text(value.view());
      out.advance_to(record.at());
    }
  }
}

bool decode_groups(const Bytes& body, const WriteVisitor& visit) {
  Reader in(body);
  while (in.ok() && in.left() != 0) {
    const KeyspaceId keyspace(in.varint());
    const std::uint64_t count = in.varint();
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
      auto write = read_write(in);
      if (!in.ok() || !write) return false;
      if (!visit(keyspace, std::move(*write))) return false;
    }
  }
  return in.ok();
}

bool decode_checkpoint(const Bytes& body, States& states) {
  Reader in(body);
  const std::uint64_t keyspaces = in.varint();
  for (std::uint64_t i = 0; i < keyspaces && in.ok(); ++i) {
    const KeyspaceId keyspace(in.varint());
    const Index last(in.varint());
    std::optional<SnapshotMeta> snapshot;
    if (const Bytes meta = read_text(in); !meta.empty()) {
      auto decoded = codec::decode<SnapshotMeta>(meta);
      if (!decoded) return false;
      snapshot = std::move(*decoded);
    }
    std::map<RecordKey, Bytes> records;
    const std::uint64_t count = in.varint();
    for (std::uint64_t j = 0; j < count && in.ok(); ++j) {
      const Bytes key = read_text(in);
      records[key.str()] = Bytes::copy(read_text(in).view());
    }
    states[keyspace] = KeyspaceState::restored(std::move(records), std::move(snapshot), last);
  }
  return in.ok() && in.left() == 0;
}

}  // namespace quorate::storage::wal
