#include "api/etcd/pages.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "api/etcd/maintenance.h"

namespace quorate::api::etcd {

namespace {

constexpr std::string_view json = "application/json";
constexpr std::string_view plain = "text/plain; charset=utf-8";

// An answer that waits for a read: keeps track of whether somebody still wants it.
class Pending final : public http::Receiver {
 public:
  explicit Pending(http::Exchange& exchange) : exchange_(&exchange) {}
  void body(std::string_view) override {}
  void body_end() override {}
  void closed() override { exchange_ = nullptr; }
  void answer(int status, std::string_view content_type, std::string text) {
    if (exchange_ != nullptr) answer_text(*exchange_, status, content_type, std::move(text));
  }

 private:
  http::Exchange* exchange_;
};

struct Check {
  std::string_view name;
  std::string problem;  // empty: passed
};

std::string verdict(std::string_view probe, const std::vector<Check>& checks, bool verbose, bool& passed) {
  passed = std::ranges::all_of(checks, [](const Check& check) { return check.problem.empty(); });
  if (passed && !verbose) return "ok\n";
  std::string out;
  for (const auto& check : checks) {
    out += check.problem.empty() ? fmt::format("[+]{} ok\n", check.name)
                                 : fmt::format("[-]{} failed: {}\n", check.name, check.problem);
  }
  return out + (passed ? "ok\n" : fmt::format("{} check failed\n", probe));
}

bool excluded(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    if (query.substr(0, end) == "exclude=" + std::string(name)) return true;
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
  }
  return false;
}

}  // namespace

std::optional<std::string_view> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    if (pair.substr(0, pair.find('=')) == name) {
      return pair.size() > name.size() ? pair.substr(name.size() + 1) : std::string_view();
    }
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
  }
  return std::nullopt;
}

void answer_text(http::Exchange& exchange, int status, std::string_view content_type, std::string text) {
  const std::string size = std::to_string(text.size());
  const http::Field fields[] = {
      {"content-type", content_type}, {"content-length", size}, {"x-content-type-options", "nosniff", true}};
  if (exchange.method() == "HEAD" && exchange.version() == http::Version::http2)
    return exchange.respond(status, fields, true);
  exchange.respond(status, fields);
  exchange.write(http::Piece(Bytes::adopt(std::move(text))));
  exchange.finish();
}

bool Pages::serve(http::Exchange& exchange) {
  const auto path = exchange.path();
  const bool known = path == "/health" || path == "/version" || path == "/metrics" || path == "/debug/vars" ||
                     path.starts_with("/livez") || path.starts_with("/readyz");
  if (!known) return false;
  if (exchange.method() != "GET" && exchange.method() != "HEAD") {
    answer_text(exchange, 405, plain, "Method Not Allowed\n");
  } else if (path == "/health") {
    health(exchange);
  } else if (path == "/version") {
    answer_text(exchange, 200, json,
                fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})", server_version,
                            cluster_version, cluster_version));
  } else if (path == "/metrics") {
    metrics(exchange);
  } else if (path == "/debug/vars") {
    variables(exchange);
  } else {
    const std::string_view name = path.starts_with("/livez") ? "livez" : "readyz";
    const auto rest = path.substr(1 + name.size());
    if (!rest.empty() && rest[0] != '/') return false;
    probe(exchange, name, rest.empty() ? rest : rest.substr(1));
  }
  return true;
}

void Pages::health(http::Exchange& exchange) {
  const auto body = [](std::string_view reason) {
    return fmt::format(R"({{"health":"{}","reason":"{}"}})", reason.empty(), reason);
  };
  for (const auto& alarm : core_.model().alarms()) {
    const auto& name = etcdserverpb::AlarmType_Name(static_cast<etcdserverpb::AlarmType>(alarm.type));
    if (!excluded(exchange.query(), name)) return answer_text(exchange, 503, json, body("ALARM " + name));
  }
  const bool local = query_value(exchange.query(), "serializable") == "true";
  if (!local && core_.backend().head().leader.none())
    return answer_text(exchange, 503, json, body("RAFT NO LEADER"));
  if (local) return answer_text(exchange, 200, json, body(""));
  const boost::intrusive_ptr<Pending> pending(new Pending(exchange));
  exchange.accept(pending);
  core_.backend().read(
      replicated_log::ReadMode::quorum, [pending, body](const replica::Outcome<Index>& outcome) {
        if (outcome) return pending->answer(200, json, body(""));
        pending->answer(503, json, body("RANGE ERROR:" + status_of(outcome.error()).message));
      });
}

// One check by name, or all of the probe. A model that can be asked is what "serializable_read" means here.
void Pages::probe(http::Exchange& exchange, std::string_view name, std::string_view check) {
  const bool ready = name == "readyz";
  std::vector<std::string_view> names{"serializable_read"};
  if (ready) names = {"data_corruption", "serializable_read", "linearizable_read", "non_learner"};
  if (!check.empty()) {
    if (std::ranges::find(names, check) == names.end())
      return answer_text(exchange, 404, plain, "404 page not found\n");
    names = {check};
  } else {
    std::erase_if(names, [&](std::string_view each) { return excluded(exchange.query(), each); });
  }
  std::vector<Check> checks;
  for (const auto each : names) checks.push_back({each, ""});
  for (auto& each : checks) {
    if (each.name == "non_learner" && core_.backend().head().learner)
      each.problem = "the member is a learner";
    if (each.name != "data_corruption") continue;
    for (const auto& alarm : core_.model().alarms()) {
      if (alarm.type == etcdserverpb::CORRUPT) each.problem = "alarm activated: CORRUPT";
    }
  }
  const bool verbose = query_value(exchange.query(), "verbose").has_value();
  const boost::intrusive_ptr<Pending> pending(new Pending(exchange));
  exchange.accept(pending);
  const auto finish = [pending, name, verbose](const std::vector<Check>& results) {
    bool passed = false;
    std::string text = verdict(name, results, verbose, passed);
    pending->answer(passed ? 200 : 503, plain, std::move(text));
  };
  const auto linearizable = std::ranges::find(checks, "linearizable_read", &Check::name);
  if (linearizable == checks.end()) return finish(checks);
  const auto at = static_cast<std::size_t>(linearizable - checks.begin());
  core_.backend().read(replicated_log::ReadMode::quorum, [finish, checks = std::move(checks), at](
                                                             const replica::Outcome<Index>& outcome) mutable {
    if (!outcome) checks[at].problem = status_of(outcome.error()).message;
    finish(checks);
  });
}

void Pages::metrics(http::Exchange& exchange) {
  std::string out;
  out.reserve(64U << 10U);
  write_server_metrics(out, core_);
  write_metric(out, "etcd_network_client_grpc_received_bytes_total", "counter",
               "Bytes received from clients.", static_cast<double>(traffic_.received));
  write_metric(out, "etcd_network_client_grpc_sent_bytes_total", "counter", "Bytes sent to clients.",
               static_cast<double>(traffic_.sent));
  calls_.write(out, router_);
  answer_text(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", std::move(out));
}

void Pages::variables(http::Exchange& exchange) {
  const auto status = core_.backend().status();
  const auto store = core_.model().statistics();
  answer_text(
      exchange, 200, json,
      fmt::format(R"({{"raft.status":{{"id":{},"term":{},"commit":{},"applied":{},"lead":{}}},)"
                  R"("store":{{"revision":{},"compact_revision":{},"keys":{},"leases":{},"watchers":{}}}}})",
                  status.self.value, status.epoch.value, status.committed.value, status.applied.value,
                  status.leader.value, store.revision, store.compact_revision, store.keys, store.leases,
                  store.watchers));
}

}  // namespace quorate::api::etcd
