// Counters of the API, written in Prometheus' text form under the names etcd's dashboards rely on. One
// reactor counts and writes, so these are plain numbers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class CallMetrics {
 public:
  void resize(std::size_t methods) { methods_.resize(methods); }
  void started(const http::Method& method) { ++methods_[method.number].started; }
  void handled(const http::Method& method, http::Code code, std::chrono::nanoseconds took);
  void write(std::string& out, const Router& router) const;

 private:
  static constexpr std::array<double, 12> bounds = {.0005, .001, .005, .01, .025, .05,
                                                    .1,    .25,  .5,   1,   2.5,  10};
  struct PerMethod {
    std::uint64_t started = 0;
    std::array<std::uint64_t, http::code_count> handled{};
    std::array<std::uint64_t, bounds.size() + 1> buckets{};
    std::chrono::nanoseconds sum{};
  };
  std::vector<PerMethod> methods_;
};

// One metric of one value, with its HELP and TYPE.
void write_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                  double value);

// State of the node and the store: etcd_server_*, etcd_mvcc_*, etcd_debugging_*, process_*.
void write_server_metrics(std::string& out, Core& core);

}  // namespace quorate::api::etcd
