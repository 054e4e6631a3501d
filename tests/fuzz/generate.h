// A value of any described type out of choices: the same description that gives the codec (core/codec.h).
#pragma once

#include <type_traits>

#include "choices.h"
#include "core/codec.h"

namespace quorate::fuzz {

template <class T>
T generate(Choices& choices);

template <class V, std::size_t I = 0>
V generate_alternative(Choices& choices, std::uint64_t which) {
  if constexpr (I + 1 == std::variant_size_v<V>) {
    return V(std::in_place_index<I>, generate<std::variant_alternative_t<I, V>>(choices));
  } else {
    if (which == I) return V(std::in_place_index<I>, generate<std::variant_alternative_t<I, V>>(choices));
    return generate_alternative<V, I + 1>(choices, which);
  }
}

template <class T>
T generate(Choices& choices) {
  namespace c = codec::detail;
  constexpr std::size_t longest = 4;  // of lists
  if constexpr (std::is_same_v<T, bool>) {
    return choices.flip();
  } else if constexpr (std::is_enum_v<T>) {
    const auto value = choices.byte();
    return static_cast<T>(value < 0xf0U ? value % 8 : value);
  } else if constexpr (c::IsId<T>::value) {
    return T(choices.number());
  } else if constexpr (std::is_same_v<T, Duration>) {
    return Duration(static_cast<std::int64_t>(choices.number()));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(std::bit_cast<double>(choices.raw(8)));
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(choices.number());
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return Bytes::copy(choices.text(16));
  } else if constexpr (std::is_same_v<T, std::string>) {
    return std::string(choices.text(16));
  } else if constexpr (c::IsVector<T>::value) {
    T list;
    for (auto n = choices.below(longest + 1); n > 0; --n)
      list.push_back(generate<typename T::value_type>(choices));
    return list;
  } else if constexpr (c::IsMap<T>::value) {
    T map;
    for (auto n = choices.below(longest + 1); n > 0; --n) {
      auto key = generate<typename T::key_type>(choices);
      map[std::move(key)] = generate<typename T::mapped_type>(choices);
    }
    return map;
  } else if constexpr (c::IsOptional<T>::value) {
    if (!choices.flip()) return std::nullopt;
    return generate<typename T::value_type>(choices);
  } else if constexpr (c::IsVariant<T>::value) {
    return generate_alternative<T>(choices, choices.below(std::variant_size_v<T>));
  } else {
    T value{};
    c::for_each_field<T>([&](auto field) {
      value.*field.pointer = generate<std::remove_reference_t<decltype(value.*field.pointer)>>(choices);
    });
    return value;
  }
}

}  // namespace quorate::fuzz
