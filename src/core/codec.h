// The wire and disk form of described structs (BOOST_DESCRIBE_STRUCT). One description gives the encoding,
// the decoding, and the JSON of traces.
//
//   unsigned, enum, Id     LEB128 varint                    signed, Duration   zigzag varint
//   bool                   one byte, 0 or 1                 double             8 bytes, little endian, IEEE
//   754 Bytes, string          varint length, bytes             vector             varint count, elements
//   optional               one byte, then the value         map                as a vector of pairs, by key
//   struct                 varint length, fields in order   variant            varint index, alternative
//
// A decoder skips the bytes of a struct behind the last field it knows, and leaves a field at its default
// when the struct ends before it: fields may be added at the end, never removed or reordered. Decoding is
// total: any input gives a value or an Error, allocates at most in proportion to the input, and Bytes fields
// share the input's buffer.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/time.h"

namespace quorate::codec {

enum class Error : std::uint8_t { truncated, overflow, bad_tag, bad_value, trailing };

constexpr const char* to_string(Error error) {
  switch (error) {
    case Error::truncated: return "input ends within a value";
    case Error::overflow: return "number too large for its field";
    case Error::bad_tag: return "unknown alternative";
    case Error::bad_value: return "value out of its range";
    case Error::trailing: return "bytes behind the value";
  }
  return "?";
}

namespace detail {

template <class T>
concept Described = boost::describe::has_describe_members<T>::value;
template <class T>
struct IsId : std::false_type {};
template <class T>
struct IsId<Id<T>> : std::true_type {};
template <class T>
struct IsId<Ordinal<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVariant : std::false_type {};
template <class... T>
struct IsVariant<std::variant<T...>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class K, class V>
struct IsMap<std::map<K, V>> : std::true_type {};
template <class T>
inline constexpr bool is_text = std::is_same_v<T, Bytes> || std::is_same_v<T, std::string>;

template <class T>
concept NamesItself = requires {  // by a static member; a field that is called `name` is a field
  requires std::is_same_v<decltype(&T::name), const char* const*>;
};

template <class T>
using Fields = boost::describe::describe_members<T, boost::describe::mod_public>;
template <class T, class F>
constexpr void for_each_field(F&& f) {
  boost::mp11::mp_for_each<Fields<T>>([&](auto field) { f(field); });
}
template <class T, class F>
constexpr void for_each_field_backward(F&& f) {
  boost::mp11::mp_for_each<boost::mp11::mp_reverse<Fields<T>>>([&](auto field) { f(field); });
}

constexpr std::size_t varint_size(std::uint64_t v) {
  return (static_cast<std::size_t>(std::bit_width(v | 1U)) + 6U) / 7U;
}
constexpr std::uint64_t zigzag(std::int64_t v) {
  return (static_cast<std::uint64_t>(v) << 1U) ^ static_cast<std::uint64_t>(v >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t v) {
  return static_cast<std::int64_t>(v >> 1U) ^ -static_cast<std::int64_t>(v & 1U);
}

template <class T>
std::size_t wire_size(const T& value);

template <class T>
std::size_t body_size(const T& value) {
  std::size_t total = 0;
  for_each_field<T>([&](auto field) { total += wire_size(value.*field.pointer); });
  return total;
}

template <class T>
std::size_t wire_size(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return 1;
  } else if constexpr (std::is_enum_v<T>) {
    return varint_size(static_cast<std::uint64_t>(value));
  } else if constexpr (IsId<T>::value) {
    return varint_size(value.value);
  } else if constexpr (std::is_same_v<T, Duration>) {
    return varint_size(zigzag(value.count()));
  } else if constexpr (std::is_floating_point_v<T>) {
    return 8;
  } else if constexpr (std::is_unsigned_v<T>) {
    return varint_size(value);
  } else if constexpr (std::is_signed_v<T>) {
    return varint_size(zigzag(value));
  } else if constexpr (is_text<T>) {
    return varint_size(value.size()) + value.size();
  } else if constexpr (IsVector<T>::value) {
    std::size_t total = varint_size(value.size());
    for (const auto& element : value) total += wire_size(element);
    return total;
  } else if constexpr (IsMap<T>::value) {
    std::size_t total = varint_size(value.size());
    for (const auto& [key, mapped] : value) total += wire_size(key) + wire_size(mapped);
    return total;
  } else if constexpr (IsOptional<T>::value) {
    return 1 + (value ? wire_size(*value) : 0);
  } else if constexpr (IsVariant<T>::value) {
    return varint_size(value.index()) + std::visit([](const auto& v) { return wire_size(v); }, value);
  } else {
    static_assert(Described<T>, "describe the struct with BOOST_DESCRIBE_STRUCT");
    const std::size_t body = body_size(value);
    return varint_size(body) + body;
  }
}

// Fills a buffer from its end to its beginning: when a length is due, what it measures is written.
class Writer {
 public:
  explicit Writer(char* end) : at_(end) {}
  void varint(std::uint64_t v) {
    if (v >= 0x80U) return long_varint(v);
    *--at_ = static_cast<char>(v);
  }
  void raw(const char* data, std::size_t n) {
    at_ -= n;
    if (n != 0) std::memcpy(at_, data, n);
  }
  [[nodiscard]] const char* at() const { return at_; }

 private:
  void long_varint(std::uint64_t v) {
    at_ -= varint_size(v);
    char* to = at_;
    for (; v >= 0x80U; v >>= 7U) *to++ = static_cast<char>(v | 0x80U);
    *to = static_cast<char>(v);
  }

  char* at_;
};

template <class T>
void write(Writer& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.varint(value ? 1 : 0);
  } else if constexpr (std::is_enum_v<T>) {
    out.varint(static_cast<std::uint64_t>(value));
  } else if constexpr (IsId<T>::value) {
    out.varint(value.value);
  } else if constexpr (std::is_same_v<T, Duration>) {
    out.varint(zigzag(value.count()));
  } else if constexpr (std::is_floating_point_v<T>) {
    const auto bits = std::bit_cast<std::uint64_t>(static_cast<double>(value));
    char raw[8];
    for (unsigned i = 0; i < 8; ++i) raw[i] = static_cast<char>(bits >> (8 * i));
    out.raw(raw, 8);
  } else if constexpr (std::is_unsigned_v<T>) {
    out.varint(value);
  } else if constexpr (std::is_signed_v<T>) {
    out.varint(zigzag(value));
  } else if constexpr (is_text<T>) {
    out.raw(value.data(), value.size());
    out.varint(value.size());
  } else if constexpr (IsVector<T>::value) {
    for (auto element = value.rbegin(); element != value.rend(); ++element) write(out, *element);
    out.varint(value.size());
  } else if constexpr (IsMap<T>::value) {
    for (auto pair = value.rbegin(); pair != value.rend(); ++pair) {
      write(out, pair->second);
      write(out, pair->first);
    }
    out.varint(value.size());
  } else if constexpr (IsOptional<T>::value) {
    if (value) write(out, *value);
    out.varint(value ? 1 : 0);
  } else if constexpr (IsVariant<T>::value) {
    std::visit([&](const auto& v) { write(out, v); }, value);
    out.varint(value.index());
  } else {
    const char* const end = out.at();
    for_each_field_backward<T>([&](auto field) { write(out, value.*field.pointer); });
    out.varint(static_cast<std::size_t>(end - out.at()));
  }
}

class Reader {
 public:
  explicit Reader(const Bytes& input)
      : input_(&input), at_(input.data()), end_(input.data() + input.size()) {}

  [[nodiscard]] bool ok() const { return !error_; }
  [[nodiscard]] std::optional<Error> error() const { return error_; }
  void fail(Error error) {
    if (!error_) error_ = error;
  }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  std::uint64_t varint() {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80U)  // most of them
      return static_cast<unsigned char>(*at_++);
    return long_varint();
  }
  Bytes bytes(std::size_t n) {
    if (n > left()) return fail(Error::truncated), Bytes();
    Bytes part = input_->slice(static_cast<std::size_t>(at_ - input_->data()), n);
    at_ += n;
    return part;
  }
  std::string_view view(std::size_t n) {
    if (n > left()) return fail(Error::truncated), std::string_view();
    const std::string_view part(at_, n);
    at_ += n;
    return part;
  }
  // Confines reading to the next n bytes; returns the outer end, for leave().
  const char* enter(std::size_t n) {
    const char* const outer = end_;
    if (n > left()) {
      fail(Error::truncated);
    } else {
      end_ = at_ + n;
    }
    return outer;
  }
  void leave(const char* outer) {
    if (ok()) at_ = end_;
    end_ = outer;
  }

 private:
  std::uint64_t long_varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return fail(Error::truncated), 0;
      const auto byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) return fail(Error::overflow), 0;
      v |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return v;
    }
    return fail(Error::overflow), 0;
  }

  const Bytes* input_;
  const char* at_;
  const char* end_;
  std::optional<Error> error_;
};

template <class T>
void read(Reader& in, T& value);

template <std::size_t I = 0, class V>
void read_alternative(Reader& in, V& value, std::uint64_t tag) {
  if constexpr (I == std::variant_size_v<V>) {
    in.fail(Error::bad_tag);
  } else {
    if (tag == I) {
      read(in, value.template emplace<I>());
    } else {
      read_alternative<I + 1>(in, value, tag);
    }
  }
}

template <class T>
void read(Reader& in, T& value) {
  if (!in.ok()) return;
  if constexpr (std::is_same_v<T, bool>) {
    const auto v = in.varint();
    if (v > 1) return in.fail(Error::bad_value);
    value = v == 1;
  } else if constexpr (std::is_enum_v<T>) {
    // A range check of the enumerators is the reader's business where it matters; the width is checked here.
    const auto v = in.varint();
    if (v > std::numeric_limits<std::underlying_type_t<T>>::max()) return in.fail(Error::overflow);
    value = static_cast<T>(v);
  } else if constexpr (IsId<T>::value) {
    value = T(in.varint());
  } else if constexpr (std::is_same_v<T, Duration>) {
    value = Duration(unzigzag(in.varint()));
  } else if constexpr (std::is_floating_point_v<T>) {
    const auto raw = in.view(8);
    if (!in.ok()) return;
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < 8; ++i)
      bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
    value = static_cast<T>(std::bit_cast<double>(bits));
  } else if constexpr (std::is_unsigned_v<T>) {
    const auto v = in.varint();
    if (v > std::numeric_limits<T>::max()) return in.fail(Error::overflow);
    value = static_cast<T>(v);
  } else if constexpr (std::is_signed_v<T>) {
    const auto v = unzigzag(in.varint());
    if (v > std::numeric_limits<T>::max() || v < std::numeric_limits<T>::min())
      return in.fail(Error::overflow);
    value = static_cast<T>(v);
  } else if constexpr (std::is_same_v<T, Bytes>) {
    value = in.bytes(in.varint());
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = std::string(in.view(in.varint()));
  } else if constexpr (IsVector<T>::value) {
    const auto count = in.varint();
    if (count > in.left()) return in.fail(Error::truncated);  // an element takes at least one byte
    constexpr std::uint64_t trusted = 256;  // a count may lie: room for no more before they are seen
    value.clear();
    value.reserve(std::min(count, trusted));
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) read(in, value.emplace_back());
  } else if constexpr (IsMap<T>::value) {
    const auto count = in.varint();
    if (count > in.left()) return in.fail(Error::truncated);
    value.clear();
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
      typename T::key_type key{};
      read(in, key);
      read(in, value[std::move(key)]);
    }
  } else if constexpr (IsOptional<T>::value) {
    const auto present = in.varint();
    if (present > 1) return in.fail(Error::bad_value);
    value.reset();
    if (present == 1) read(in, value.emplace());
  } else if constexpr (IsVariant<T>::value) {
    read_alternative(in, value, in.varint());
  } else {
    static_assert(Described<T>, "describe the struct with BOOST_DESCRIBE_STRUCT");
    const char* const outer = in.enter(in.varint());
    for_each_field<T>([&](auto field) {
      if (in.ok() && in.left() != 0) read(in, value.*field.pointer);
    });
    in.leave(outer);
  }
}

std::string quote(std::string_view text);  // a JSON string; bytes that are not printable ASCII as \u00XX

template <class T>
void json(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    const char* name = nullptr;
    if constexpr (boost::describe::has_describe_enumerators<T>::value)
      name = boost::describe::enum_to_string(value, nullptr);
    out += name ? quote(name) : std::to_string(static_cast<std::uint64_t>(value));
  } else if constexpr (IsId<T>::value) {
    out += std::to_string(value.value);
  } else if constexpr (std::is_same_v<T, Duration>) {
    out += std::to_string(value.count());
  } else if constexpr (std::is_arithmetic_v<T>) {
    out += std::to_string(value);
  } else if constexpr (std::is_same_v<T, Bytes>) {
    out += quote(value.view());
  } else if constexpr (std::is_same_v<T, std::string>) {
    out += quote(value);
  } else if constexpr (IsVector<T>::value) {
    out += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i != 0) out += ',';
      json(out, value[i]);
    }
    out += ']';
  } else if constexpr (IsMap<T>::value) {
    out += '[';
    bool first = true;
    for (const auto& [key, mapped] : value) {
      if (!std::exchange(first, false)) out += ',';
      out += '[';
      json(out, key);
      out += ',';
      json(out, mapped);
      out += ']';
    }
    out += ']';
  } else if constexpr (IsOptional<T>::value) {
    value ? json(out, *value) : void(out += "null");
  } else if constexpr (IsVariant<T>::value) {
    std::visit([&](const auto& v) { json(out, v); }, value);
  } else {
    out += '{';
    if constexpr (NamesItself<T>) out += "\"type\":" + quote(T::name);
    bool first = !NamesItself<T>;
    for_each_field<T>([&](auto field) {
      if (!std::exchange(first, false)) out += ',';
      out += quote(field.name);
      out += ':';
      json(out, value.*field.pointer);
    });
    out += '}';
  }
}

}  // namespace detail

// Messages name themselves in traces by `static constexpr const char* name = "AppendEntries";`.
template <class T>
std::string to_json(const T& value) {
  std::string out;
  detail::json(out, value);
  return out;
}

template <class T>
std::size_t encoded_size(const T& value) {
  return detail::wire_size(value);
}

// Appends the encoding of `value` to `out`.
template <class T>
void encode_to(std::string& out, const T& value) {
  const std::size_t before = out.size();
  out.resize(before + detail::wire_size(value));
  detail::Writer writer(out.data() + out.size());
  detail::write(writer, value);
}

template <class T>
Bytes encode(const T& value) {
  const std::size_t size = detail::wire_size(value);
  if (size == 0) return {};
  const Bytes out = Bytes::uninitialized(size);
  detail::Writer writer(const_cast<char*>(out.data()) + size);
  detail::write(writer, value);
  return out;
}

template <class T>
[[nodiscard]] std::expected<T, Error> decode(const Bytes& input) {
  detail::Reader in(input);
  T value{};
  detail::read(in, value);
  if (in.ok() && in.left() != 0) in.fail(Error::trailing);
  if (!in.ok()) return std::unexpected(*in.error());
  return value;
}

}  // namespace quorate::codec
