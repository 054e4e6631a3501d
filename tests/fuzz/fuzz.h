// A fuzz target: a function of any bytes that must return. QUORATE_FUZZ(name) makes it libFuzzer's entry
// point where the target is built by itself (tests/fuzz/run), and enlists it for the replay of the committed
// corpora where all targets are built into one test program (./test fuzz).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace quorate::fuzz {

using Target = void (*)(std::string_view input);

// The targets of a replay, by name.
inline std::map<std::string, Target>& targets() {
  static std::map<std::string, Target> all;
  return all;
}
inline bool enlist(const char* name, Target target) { return targets().emplace(name, target).second; }

// What must hold of any input. A finding ends the process: libFuzzer keeps the input.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "finding: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace quorate::fuzz

#ifdef QUORATE_LIBFUZZER
#define QUORATE_FUZZ(name)                                                            \
  static void fuzz_##name(std::string_view input);                                    \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);  \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_##name({reinterpret_cast<const char*>(data), size});                         \
    return 0;                                                                         \
  }                                                                                   \
  static void fuzz_##name(std::string_view input)
#else
#define QUORATE_FUZZ(name)                                                                         \
  static void fuzz_##name(std::string_view input);                                                 \
  [[maybe_unused]] static const bool enlisted_##name = quorate::fuzz::enlist(#name, &fuzz_##name); \
  static void fuzz_##name(std::string_view input)
#endif
