// Bytes: an immutable, reference-counted slice of memory.
//
// A payload is copied once, from the socket into a buffer; from there on every holder (log, peers, state
// machine, response) shares the buffer and only the slice differs. Copying a Bytes copies a pointer.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace quorate {

class Bytes {
 public:
  Bytes() = default;
  ~Bytes() { release(); }

  // The only constructors that allocate, once each: a copy of `text`, a buffer taken over from a string,
  // fresh memory.
  static Bytes copy(std::string_view text);
  static Bytes adopt(std::string&& text);
  // For one who fills it before he gives it to anybody.
  static Bytes uninitialized(std::size_t size);

  // Memory that outlives the program (literals); never counted, never freed.
  static Bytes literal(std::string_view text) { return Bytes(nullptr, text.data(), text.size()); }

  Bytes(const Bytes& other) noexcept : owner_(other.owner_), data_(other.data_), size_(other.size_) {
    if (owner_) owner_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Bytes(Bytes&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Bytes& operator=(const Bytes& other) noexcept {
    Bytes(other).swap(*this);
    return *this;
  }
  Bytes& operator=(Bytes&& other) noexcept {
    Bytes(std::move(other)).swap(*this);
    return *this;
  }
  void swap(Bytes& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  [[nodiscard]] const char* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::string_view view() const { return {data_, size_}; }
  [[nodiscard]] std::string str() const { return std::string(view()); }

  // The part [offset, offset + length), cut to what there is; shares the buffer.
  [[nodiscard]] Bytes slice(std::size_t offset, std::size_t length = std::string_view::npos) const {
    Bytes part = *this;
    offset = offset < size_ ? offset : size_;
    part.data_ += offset;
    part.size_ = length < size_ - offset ? length : size_ - offset;
    return part;
  }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view() == b.view(); }
  friend bool operator==(const Bytes& a, std::string_view b) { return a.view() == b; }
  friend std::strong_ordering operator<=>(const Bytes& a, const Bytes& b) { return a.view() <=> b.view(); }

 private:
  struct Owner {
    std::atomic<std::uint32_t> references{1};
    const bool inside;  // the bytes follow the owner in memory; else it is an Adopter
  };
  struct Adopter;
  Bytes(Owner* owner, const char* data, std::size_t size) : owner_(owner), data_(data), size_(size) {}
  // A sole owner needs no atomic subtraction: nobody is left who could copy.
  void release() noexcept {
    if (owner_ == nullptr) return;
    auto& references = owner_->references;
    if (references.load(std::memory_order_acquire) == 1 ||
        references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy(owner_);
  }
  static void destroy(Owner* owner) noexcept;

  Owner* owner_ = nullptr;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quorate

template <>
struct std::hash<quorate::Bytes> {
  std::size_t operator()(const quorate::Bytes& bytes) const noexcept {
    return std::hash<std::string_view>{}(bytes.view());
  }
};
