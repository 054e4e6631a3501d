#include <algorithm>
#include <cstdio>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"
#include "client/load.h"
#include "client/process_usage.h"

namespace quorate::cli {
namespace {

using client::Histogram;
using client::LoadOptions;
using client::LoadResult;
using client::OpKind;

struct BenchOptions {
  LoadOptions load;
  std::string mix = "put";
  std::string distribution = "uniform";
  std::string duration = "5s";
  std::string warm_up = "1s";
  std::string pids;
  bool leader_only = false;
  std::optional<bool> prefill;

  void define(CLI::App& app) {
    app.add_option("--mix", mix, "operations and weights: put, get, sget (serializable), txn; put=1,get=9")
        ->capture_default_str();
    app.add_option("--connections,--conns", load.connections, "connections")
        ->capture_default_str()
        ->check(CLI::Range(1, 10000));
    app.add_option("--streams", load.streams, "calls in flight on each connection")
        ->capture_default_str()
        ->check(CLI::Range(1, 100000));
    app.add_option("--rate", load.rate,
                   "operations a second, whatever the server does; 0: as fast as it answers")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--duration", duration, "how long to measure")->capture_default_str();
    app.add_option("--warm-up", warm_up, "how long to run before measuring")->capture_default_str();
    app.add_option("--keys", load.workload.keys, "different keys")
        ->capture_default_str()
        ->check(CLI::Range(1, 100000000));
    app.add_option("--distribution", distribution, "uniform, zipf or sequential")->capture_default_str();
    app.add_option("--value-size", load.workload.value_size, "bytes")
        ->capture_default_str()
        ->check(CLI::Range(0, 1500000));
    app.add_option("--key-prefix", load.workload.prefix, "before the ten digits of a key")
        ->capture_default_str();
    app.add_option("--seed", load.workload.seed, "of the choice of keys and operations")
        ->capture_default_str();
    app.add_option("--pids", pids,
                   "the servers' process IDs, comma-separated: their CPU and memory are reported");
    app.add_flag("--leader", leader_only, "send everything to the leader");
    app.add_flag("--prefill,!--no-prefill", prefill,
                 "put every key once before, or not (implied when the mix only reads)");
  }

  void resolve() {
    auto weights = client::parse_mix(mix);
    if (!weights) throw Failure{kBadArguments, weights.error()};
    load.workload.weights = *weights;
    load.duration = parse_duration(duration);
    load.warm_up = parse_duration(warm_up);
    if (distribution == "uniform") {
      load.workload.distribution = client::Distribution::uniform;
    } else if (distribution == "zipf") {
      load.workload.distribution = client::Distribution::zipf;
    } else if (distribution == "sequential") {
      load.workload.distribution = client::Distribution::sequential;
    } else {
      throw Failure{kBadFeature,
                    "bad --distribution \"" + distribution + "\": expecting uniform, zipf or sequential"};
    }
    if (load.workload.prefix.find('#') != std::string::npos)
      throw Failure{kBadArguments, "--key-prefix must not contain #"};
    const bool writes = (*weights)[static_cast<std::size_t>(OpKind::put)] +
                            (*weights)[static_cast<std::size_t>(OpKind::txn)] >
                        0;
    load.prefill = prefill.value_or(!writes);
  }

  [[nodiscard]] std::vector<int> server_pids() const {
    std::vector<int> out;
    std::stringstream list(pids);
    for (std::string pid; std::getline(list, pid, ',');) {
      char* end = nullptr;
      const long number = std::strtol(pid.c_str(), &end, 10);
      if (pid.empty() || *end != '\0' || number <= 0)
        throw Failure{kBadArguments, "bad --pids \"" + pids + "\": expecting 123,456"};
      if (!client::usage_of(static_cast<int>(number))) throw Failure{kBadArguments, "no process " + pid};
      out.push_back(static_cast<int>(number));
    }
    return out;
  }
};

// The store's revision, to check that the writes acknowledged are there.
std::int64_t revision(const Command& command) {
  pb::RangeRequest request;
  request.set_key("bench");
  return expect(command.connect()->call(client::rpc::range, request)).header().revision();
}

std::vector<client::Endpoint> leaders(const Command& command) {
  for (const auto& endpoint : command.endpoints()) {
    const auto status = command.connect({endpoint})->call(client::rpc::status, pb::StatusRequest());
    if (status && status->leader() == status->header().member_id()) return {endpoint};
  }
  throw Failure{kError, "none of the endpoints is the leader; give all of them"};
}

// CPU and memory over the measured time.
class Meter {
 public:
  explicit Meter(std::vector<int> pids) : pids_(std::move(pids)) {}
  void begin() {
    own_ = client::own_cpu();
    servers_ = total();
  }
  void end() {
    own_ = client::own_cpu() - own_;
    servers_ = total() - servers_;
  }
  [[nodiscard]] bool any() const { return !pids_.empty(); }
  [[nodiscard]] double own_us() const { return static_cast<double>(own_.count()) / 1e3; }
  [[nodiscard]] double servers_us() const { return static_cast<double>(servers_.count()) / 1e3; }
  [[nodiscard]] std::vector<std::uint64_t> peaks() const {
    std::vector<std::uint64_t> out;
    for (const int pid : pids_) out.push_back(client::usage_of(pid).value_or(client::Usage{}).peak_rss_bytes);
    return out;
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds total() const {
    std::chrono::nanoseconds sum{};
    for (const int pid : pids_) sum += client::usage_of(pid).value_or(client::Usage{}).cpu;
    return sum;
  }
  std::vector<int> pids_;
  std::chrono::nanoseconds own_{};
  std::chrono::nanoseconds servers_{};
};

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

std::string latency_json(const Histogram& h) {
  return fmt::format(
      "{{\"count\":{},\"mean\":{:.1f},\"p50\":{:.1f},\"p90\":{:.1f},\"p99\":{:.1f},\"p999\":{:.1f},\"max\":{:"
      ".1f}}}",
      h.count(), h.mean() / 1e3, us(h.quantile(0.5)), us(h.quantile(0.9)), us(h.quantile(0.99)),
      us(h.quantile(0.999)), us(h.max()));
}

struct Report {
  const BenchOptions& options;
  const LoadResult& result;
  const Meter& meter;
  bool verified;

  [[nodiscard]] double ops() const { return static_cast<double>(std::max<std::uint64_t>(result.ok, 1)); }
  [[nodiscard]] double per_second() const { return static_cast<double>(result.ok) / result.seconds; }

  [[nodiscard]] std::string json() const {
    std::string kinds;
    for (std::size_t kind = 0; kind < client::kOpKinds; ++kind) {
      if (result.latency[kind].count() == 0) continue;
      kinds += fmt::format("{}\"{}\":{}", kinds.empty() ? "" : ",", client::name(static_cast<OpKind>(kind)),
                           latency_json(result.latency[kind]));
    }
    std::string errors;
    for (const auto& [text, count] : result.errors) {
      errors += fmt::format("{}{}:{}", errors.empty() ? "" : ",", json_string(text), count);
    }
    std::string servers;
    if (meter.any()) {
      servers = fmt::format(",\"server_cpu_us_per_op\":{:.2f},\"server_peak_rss_bytes\":[{}]",
                            meter.servers_us() / ops(), fmt::join(meter.peaks(), ","));
    }
    return fmt::format(
        "{{\"mix\":{},\"loop\":\"{}\",\"rate\":{},\"connections\":{},\"streams\":{},\"keys\":{},\"value_"
        "size\":{},"
        "\"seconds\":{:.3f},\"operations\":{},\"per_second\":{:.1f},\"errors\":{{{}}},\"backlog\":{},"
        "\"verified\":{},"
        "\"latency_us\":{},\"latency_us_by_operation\":{{{}}},\"client_cpu_us_per_op\":{:.2f}{}}}\n",
        json_string(options.mix), options.load.rate > 0 ? "open" : "closed", options.load.rate,
        options.load.connections, options.load.streams, options.load.workload.keys,
        options.load.workload.value_size, result.seconds, result.ok, per_second(), errors, result.backlog,
        verified, latency_json(result.all()), kinds, meter.own_us() / ops(), servers);
  }

  [[nodiscard]] std::string text() const {
    Table table({"OPERATION", "COUNT", "PER SECOND", "MEAN", "P50", "P99", "P99.9", "MAX"});
    const auto row = [&](std::string_view title, const Histogram& h) {
      const auto ms = [](double ns) { return fmt::format("{:.2f} ms", ns / 1e6); };
      table.row({std::string(title), std::to_string(h.count()),
                 fmt::format("{:.0f}", static_cast<double>(h.count()) / result.seconds), ms(h.mean()),
                 ms(static_cast<double>(h.quantile(0.5))), ms(static_cast<double>(h.quantile(0.99))),
                 ms(static_cast<double>(h.quantile(0.999))), ms(static_cast<double>(h.max()))});
    };
    int kinds = 0;
    for (std::size_t kind = 0; kind < client::kOpKinds; ++kind) {
      if (result.latency[kind].count() == 0) continue;
      row(client::name(static_cast<OpKind>(kind)), result.latency[kind]);
      ++kinds;
    }
    if (kinds != 1) row("all", result.all());
    std::string out = table.str();
    if (meter.any()) {
      out += fmt::format("servers: {:.1f} µs of CPU an operation; peak memory", meter.servers_us() / ops());
      for (const auto bytes : meter.peaks()) out += " " + human_bytes(bytes);
      out += "\n";
    }
    out += fmt::format("this program: {:.1f} µs of CPU an operation\n", meter.own_us() / ops());
    if (options.load.rate > 0) {
      out += fmt::format("asked for {:.0f} a second; {} were due and not sent at the end\n",
                         options.load.rate, result.backlog);
    }
    for (const auto& [error, count] : result.errors) out += fmt::format("{} failed: {}\n", count, error);
    if (!verified) out += "the store's revision does not cover the writes it acknowledged\n";
    return out;
  }
};

void live_line(const LoadResult& result, std::chrono::nanoseconds elapsed) {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const Histogram all = result.all();
  std::fprintf(stderr, "\r%5.1f s  %9.0f op/s  p50 %7.2f ms  p99 %7.2f ms  %llu failed\033[K", seconds,
               static_cast<double>(result.ok) / seconds, us(all.quantile(0.5)) / 1e3,
               us(all.quantile(0.99)) / 1e3, static_cast<unsigned long long>(result.failed()));
  std::fflush(stderr);
}

int run(const Command& command, BenchOptions& options) {
  options.resolve();
  options.load.endpoints = options.leader_only ? leaders(command) : command.endpoints();
  options.load.metadata = command.credentials(options.load.endpoints);
  Meter meter(options.server_pids());
  const std::int64_t before = revision(command);
  client::LoadHooks hooks;
  hooks.measuring = [&] { meter.begin(); };
  const bool live = isatty(STDERR_FILENO) != 0;
  if (live) hooks.progress = &live_line;
  const auto result = client::run_load(options.load, hooks);
  if (!result) throw Failure{kError, result.error().message};
  meter.end();
  if (live) std::fputs("\r\033[K", stderr);
  const bool verified = revision(command) - before >= static_cast<std::int64_t>(result->acknowledged_writes);
  const Report report{options, *result, meter, verified};
  print(command.format() == Format::json ? report.json() : report.text());
  return verified && result->failed() == 0 && result->ok > 0 ? kOk : kError;
}

}  // namespace

int bench(std::vector<std::string> args) {
  Command command(
      "bench", "Load a cluster and measure it. Works against etcd, too.",
      R"(Without --rate each stream sends its next request when it has the last answer (closed loop).
With --rate requests fall due at that pace whatever the server does, and latency counts from
when they were due: a stall of the server is felt by every request that it delayed.

Status 1 if any request failed, or if the store's revision does not cover the writes acknowledged.
The load is one thread: where "this program" nears 100 % of a core, it is what is measured.

EXAMPLES
  quorate bench --connections 8 --streams 32
  quorate bench --mix get=9,put=1 --rate 5000 --duration 30s
  quorate bench --mix sget --connections 16 --streams 16 --pids $(pgrep -d, etcd) --json)");
  BenchOptions options;
  options.define(command.app());
  return command.run(std::move(args), [&] { return run(command, options); });
}

}  // namespace quorate::cli
