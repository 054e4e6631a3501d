#include "tool/report.h"

#include <filesystem>
#include <fstream>

#include <boost/json/src.hpp>

namespace quorate::faults {
namespace {

namespace json = boost::json;

double seconds(client::Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

json::object counts(const std::map<std::string, std::uint64_t>& from) {
  json::object out;
  for (const auto& [what, count] : from) out[what] = count;
  return out;
}

json::value or_null(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

json::object operation(const Record& record) {
  const auto& op = record.op;
  constexpr const char* kinds[] = {"get", "put", "cas", "erase", "append"};
  json::object out{{"client", op.client},
                   {"kind", kinds[static_cast<std::size_t>(op.kind)]},
                   {"key", op.key},
                   {"argument", op.argument},
                   {"invoked", op.invoked}};
  if (op.kind == check::OpKind::cas) out["expected"] = or_null(op.expected);
  if (!op.returned) return out;
  out["returned"] = *op.returned;
  out["revision"] = op.index;
  out["succeeded"] = op.succeeded;
  if (op.kind == check::OpKind::get) out["observed"] = or_null(op.observed);
  if (op.stale_allowed) out["serializable"] = true;
  return out;
}

}  // namespace

std::string summary(const Run& run, const EventLog& log, client::Time begun, std::uint64_t inconclusive) {
  const auto& history = run.history;
  std::uint64_t unknown = 0;
  for (const auto& record : history.records()) unknown += record.op.returned ? 0 : 1;
  json::array stalls;
  for (const auto& stall : history.stalls()) {
    stalls.push_back(json::array{seconds(stall.from - begun), seconds(stall.length)});
  }
  json::array violations;
  for (const auto& each : history.violations()) violations.emplace_back(each);
  return json::serialize(json::object{{"operations", history.records().size()},
                                      {"unknown_outcomes", unknown},
                                      {"revisions", log.steps().size()},
                                      {"counts", counts(history.counts())},
                                      {"errors", counts(history.errors())},
                                      {"stalls", std::move(stalls)},
                                      {"inconclusive_keys", inconclusive},
                                      {"violations", std::move(violations)}});
}

void write_history(const std::string& directory, const Run& run, const EventLog& log) {
  std::filesystem::create_directories(directory);
  std::ofstream operations(directory + "/operations.jsonl");
  for (const auto& record : run.history.records()) operations << operation(record) << '\n';
  std::ofstream events(directory + "/events.jsonl");
  for (const auto& step : log.steps()) {
    for (const auto& event : step.events) {
      events << json::object{{"revision", step.revision}, {"key", event.key},
                             {"put", event.put},          {"value", event.value},
                             {"create", event.create},    {"version", event.version},
                             {"lease", event.lease}}
             << '\n';
    }
  }
  std::ofstream violations(directory + "/violations.txt");
  for (const auto& each : run.history.violations()) violations << each << '\n';
}

}  // namespace quorate::faults
