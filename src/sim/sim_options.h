// The command line of `quorate sim`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/App.hpp>

#include "explore/explore.h"
#include "sim/options.h"

namespace quorate::sim {

// What was asked for; lists and ranges still as they were typed.
struct Arguments {
  Options options;
  std::string seeds = "1..1000";
  std::string faults = "all";
  std::string together;
  std::string keep;
  std::string crash_at;
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t most_failures = 1;
  bool verbose = false;
  bool json = false;
  bool twice = false;
  bool shrink = false;
  bool coverage = false;
  bool crash_points = false;
  std::uint64_t stride = 1;
  double seconds = 0;
  std::optional<std::uint64_t> replay;
  std::string trace;
  std::vector<std::string> scenarios;
  std::vector<std::string> illustrated;
  std::string diagram;
  bool rewrite = false;
  bool exhaustive = false;
  explore::Bounds bounds;
};

// Adds the options, which write into `arguments`, and the notes of the help page.
void define_options(CLI::App& app, Arguments& arguments);

}  // namespace quorate::sim
