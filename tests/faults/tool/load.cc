#include "tool/load.h"

#include <iostream>
#include <thread>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tool/judge.h"
#include "tool/report.h"
#include "tool/workers.h"

namespace quorate::faults {
namespace {

namespace pb = etcdserverpb;
using client::Clock;

constexpr std::chrono::seconds kPatience{60};  // for a healed cluster to do anything at all

client::Client client_of(const client::Endpoint& endpoint) {
  client::Options options;
  options.endpoints = {endpoint};
  options.dial_timeout = std::chrono::seconds(1);
  options.command_timeout = std::chrono::seconds(5);
  return client::Client(std::move(options));
}

// The store of one member as of `revision`, once the member has come so far.
std::expected<Store, std::string> read_store(const client::Endpoint& endpoint, std::int64_t revision,
                                             const std::string& prefix) {
  client::Client client = client_of(endpoint);
  const auto deadline = Clock::now() + kPatience;
  pb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(prefix.substr(0, prefix.size() - 1) + static_cast<char>(prefix.back() + 1));
  request.set_serializable(true);
  request.set_revision(revision);
  for (;;) {
    const auto response = client.call(client::rpc::range, request);
    if (response) {
      Store store;
      for (const auto& kv : response->kvs()) {
        store[kv.key()] = {kv.value(), kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()};
      }
      return store;
    }
    if (Clock::now() > deadline) return std::unexpected(response.error().message);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options) {
    run_.tag = options.tag;
    run_.seed = options.seed;
    run_.pause = options.pause;
  }

  int perform() {
    auto endpoints = client::parse_endpoints(options_.endpoints);
    if (!endpoints) return fail(endpoints.error());
    run_.endpoints.set(std::move(*endpoints));
    const auto first = revision();
    if (!first) return fail("no answer from the cluster: " + first.error());
    EventLog log(*first);
    start(log);
    std::cout << "loading" << std::endl;
    const auto begun = Clock::now();
    for (std::string members; std::getline(std::cin, members) && members != "end";) {
      if (auto all = client::parse_endpoints(members)) run_.endpoints.set(std::move(*all));
    }
    stop();
    judge(log);
    const auto violations = run_.history.violations();
    if (!violations.empty() && !options_.history.empty()) write_history(options_.history, run_, log);
    std::cout << summary(run_, log, begun, inconclusive_) << std::endl;
    return violations.empty() ? 0 : 1;
  }

 private:
  static int fail(const std::string& why) {
    std::cerr << why << std::endl;
    return 2;
  }

  // The cluster's revision, by a linearizable read.
  std::expected<std::int64_t, std::string> revision() {
    const auto deadline = Clock::now() + kPatience;
    for (std::size_t i = 0;; ++i) {
      const auto all = run_.endpoints.get();
      client::Client client = client_of(all[i % all.size()]);
      pb::RangeRequest request;
      request.set_key("revision");
      const auto response = client.call(client::rpc::range, request);
      if (response) return response->header().revision();
      if (Clock::now() > deadline) return std::unexpected(response.error().message);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  void start(EventLog& log) {
    for (std::uint64_t i = 0; i < run_.endpoints.get().size(); ++i) {
      watchers_.push_back(std::make_unique<Watcher>(run_, log, i));
      watching_.emplace_back([watcher = watchers_.back().get()] { watcher->watch(); });
    }
    std::uint64_t number = 0;
    const auto spawn = [&](unsigned count, void (*work)(Run&, std::uint64_t)) {
      for (unsigned i = 0; i < count; ++i) working_.emplace_back(work, std::ref(run_), number++);
    };
    spawn(options_.registers, run_register_worker);
    spawn(options_.readers, run_reader);
    spawn(options_.lockers, run_lock_worker);
    spawn(options_.candidates, run_election_worker);
    spawn(options_.lessees, run_lease_worker);
    working_.emplace_back([this] { run_compactor(run_, watchers_); });
  }

  void stop() {
    run_.ending = true;
    for (auto& thread : working_) thread.join();
    last_ = revision().value_or(0);
    if (last_ == 0) run_.history.violation("the healed cluster answers no read");
    const auto until = std::max<std::int64_t>(last_, 1);
    for (auto& watcher : watchers_) watcher->finish(until, Clock::now() + kPatience);
    for (auto& thread : watching_) thread.join();
    for (auto& watcher : watchers_) {
      if (watcher->next() > last_) continue;
      run_.history.violation(fmt::format("a watcher came to revision {} of {} within a minute of the healing",
                                         watcher->next() - 1, last_));
    }
  }

  void judge(const EventLog& log) {
    const auto add = [this](const std::vector<std::string>& violations) {
      for (const auto& each : violations) run_.history.violation(each);
    };
    // The other checks rest on the log: where it is broken they would only repeat it.
    if (!run_.history.violations().empty()) return;
    add(judge_answers(log.steps(), run_.history.records()));
    add(judge_linearizable(log.steps(), run_.history.records(), inconclusive_));
    add(judge_owners(log.steps()));
    add(judge_leases(log.steps(), run_.history.leases()));
    const std::string prefix = std::string(kRegisters) + run_.tag + "/";
    add(judge_stores(log.steps(), last_, prefix, stores(prefix)));
  }

  [[nodiscard]] Stores stores(const std::string& prefix) const {
    Stores all;
    for (const auto& endpoint : run_.endpoints.get())
      all.emplace(endpoint.text, read_store(endpoint, last_, prefix));
    return all;
  }

  LoadOptions options_;
  Run run_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<std::thread> watching_;
  std::vector<std::thread> working_;
  std::int64_t last_ = 0;
  std::uint64_t inconclusive_ = 0;
};

}  // namespace

int run_load(const LoadOptions& options) { return Load(options).perform(); }

}  // namespace quorate::faults
