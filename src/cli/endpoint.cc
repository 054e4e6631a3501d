// What is asked of each server by itself: endpoint status, health, hashkv; status; defrag; alarm;
// move-leader.
#include <fmt/format.h>

#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

using client::Endpoint;

// The client addresses of all started members, for --cluster.
std::vector<Endpoint> members_endpoints(const Command& command) {
  const auto response = expect(command.connect()->call(client::rpc::member_list, pb::MemberListRequest()));
  std::vector<Endpoint> endpoints;
  for (const auto& member : response.members()) {
    for (const auto& url : member.clienturls()) {
      for (auto& endpoint : command.endpoints(url)) endpoints.push_back(std::move(endpoint));
    }
  }
  return endpoints;
}

struct Target {
  bool whole_cluster = false;
  [[nodiscard]] std::vector<Endpoint> endpoints(const Command& command) const {
    return whole_cluster ? members_endpoints(command) : command.endpoints();
  }
};

// Asks each endpoint by itself. Those that fail are named on standard error; the status is then 1.
template <class Request, class Response>
int ask_each(const Command& command, const std::vector<Endpoint>& endpoints,
             const client::Rpc<Request, Response>& rpc, const Request& request, std::string_view what,
             const std::function<void(const Endpoint&, const Response&)>& take) {
  int code = kOk;
  for (const auto& endpoint : endpoints) {
    auto response = command.connect({endpoint})->call(rpc, request);
    if (response) {
      take(endpoint, *response);
    } else {
      flush();
      std::fprintf(stderr, "Failed to get the %s of endpoint %s (%s)\n", std::string(what).c_str(),
                   endpoint.text.c_str(), response.error().message.c_str());
      code = kError;
    }
  }
  return code;
}

std::string errors_of(const pb::StatusResponse& status) {
  std::string out;
  for (const auto& error : status.errors()) out += (out.empty() ? "" : ", ") + error;
  return out;
}

std::vector<std::string> status_cells(const Endpoint& endpoint, const pb::StatusResponse& status) {
  return {endpoint.text,
          hex(status.header().member_id()),
          status.version(),
          human_bytes(static_cast<std::uint64_t>(status.dbsize())),
          status.leader() == status.header().member_id() ? "true" : "false",
          status.islearner() ? "true" : "false",
          std::to_string(status.raftterm()),
          std::to_string(status.raftindex()),
          std::to_string(status.raftappliedindex()),
          errors_of(status)};
}

std::string status_fields(const Endpoint& endpoint, const pb::StatusResponse& status) {
  return header_fields(status.header()) +
         fmt::format(
             "\"Version\" : {}\n\"DBSize\" : {}\n\"Leader\" : {}\n\"IsLearner\" : {}\n\"RaftIndex\" : {}\n"
             "\"RaftTerm\" : {}\n\"RaftAppliedIndex\" : {}\n\"Errors\" : [{}]\n\"Endpoint\" : {}\n\n",
             quote(status.version()), status.dbsize(), status.leader(), status.islearner(),
             status.raftindex(), status.raftterm(), status.raftappliedindex(), errors_of(status),
             quote(endpoint.text));
}

int show_status(const Command& command, const std::vector<Endpoint>& endpoints, Format format) {
  Table table({"ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX",
               "RAFT APPLIED INDEX", "ERRORS"});
  std::string out;
  const int code = ask_each<pb::StatusRequest, pb::StatusResponse>(
      command, endpoints, client::rpc::status, {}, "status",
      [&](const Endpoint& endpoint, const pb::StatusResponse& status) {
        switch (format) {
          case Format::json:
            out += fmt::format("{}{{\"Endpoint\":{},\"Status\":{}}}", out.empty() ? "" : ",",
                               json_string(endpoint.text), json(status));
            break;
          case Format::fields: out += status_fields(endpoint, status); break;
          case Format::table: table.row(status_cells(endpoint, status)); break;
          case Format::simple: out += fmt::format("{}\n", fmt::join(status_cells(endpoint, status), ", "));
        }
      });
  print(format == Format::json ? "[" + out + "]\n" : format == Format::table ? table.str() : out);
  return code;
}

struct Health {
  bool healthy = false;
  std::chrono::nanoseconds took{};
  std::string error;
};

// Healthy: a linearizable read came back, so the server reaches a quorum.
Health health_of(const Command& command, const Endpoint& endpoint) {
  pb::RangeRequest request;
  request.set_key("health");
  const auto begin = client::Clock::now();
  const auto response = command.connect({endpoint})->call(client::rpc::range, request);
  return {response.has_value() || response.error().code == client::Code::permission_denied,
          client::Clock::now() - begin, response ? "" : response.error().message};
}

int show_health(const Command& command, const std::vector<Endpoint>& endpoints) {
  Table table({"ENDPOINT", "HEALTH", "TOOK", "ERROR"});
  std::string out;
  bool all = true;
  for (const auto& endpoint : endpoints) {
    const Health health = health_of(command, endpoint);
    const std::string took = human_duration(health.took);
    all = all && health.healthy;
    switch (command.format()) {
      case Format::json:
        out += fmt::format("{}{{\"endpoint\":{},\"health\":{},\"took\":\"{}\"{}}}", out.empty() ? "" : ",",
                           json_string(endpoint.text), health.healthy, took,
                           health.error.empty() ? "" : ",\"error\":" + json_string(health.error));
        break;
      case Format::fields:
        out += fmt::format("\"Endpoint\" : {}\n\"Health\" : {}\n\"Took\" : {}\n\"Error\" : {}\n\n",
                           quote(endpoint.text), health.healthy, took, health.error);
        break;
      case Format::table:
        table.row({endpoint.text, health.healthy ? "true" : "false", took, health.error});
        break;
      case Format::simple:
        out += health.healthy ? fmt::format("{} is healthy: successfully committed proposal: took = {}\n",
                                            endpoint.text, took)
                              : fmt::format("{} is unhealthy: failed to commit proposal: {}\n", endpoint.text,
                                            health.error);
    }
  }
  print(command.format() == Format::json    ? "[" + out + "]\n"
        : command.format() == Format::table ? table.str()
                                            : out);
  if (!all) throw Failure{kError, "unhealthy cluster"};
  return kOk;
}

int show_hash(const Command& command, const std::vector<Endpoint>& endpoints, std::int64_t revision) {
  Table table({"ENDPOINT", "HASH"});
  std::string out;
  pb::HashKVRequest request;
  request.set_revision(revision);
  const int code = ask_each<pb::HashKVRequest, pb::HashKVResponse>(
      command, endpoints, client::rpc::hash_kv, request, "hash",
      [&](const Endpoint& endpoint, const pb::HashKVResponse& hash) {
        switch (command.format()) {
          case Format::json:
            out += fmt::format("{}{{\"Endpoint\":{},\"HashKV\":{}}}", out.empty() ? "" : ",",
                               json_string(endpoint.text), json(hash));
            break;
          case Format::fields:
            out += header_fields(hash.header()) +
                   fmt::format("\"Endpoint\" : {}\n\"Hash\" : {}\n\n", quote(endpoint.text), hash.hash());
            break;
          case Format::table: table.row({endpoint.text, std::to_string(hash.hash())}); break;
          case Format::simple: out += fmt::format("{}, {}\n", endpoint.text, hash.hash());
        }
      });
  print(command.format() == Format::json    ? "[" + out + "]\n"
        : command.format() == Format::table ? table.str()
                                            : out);
  return code;
}

// etcd moves leadership only when the leader itself is asked.
std::optional<Endpoint> leader_endpoint(const Command& command, std::uint64_t& leader) {
  auto endpoints = command.endpoints();
  for (auto& endpoint : members_endpoints(command)) endpoints.push_back(std::move(endpoint));
  for (const auto& endpoint : endpoints) {
    const auto status = command.connect({endpoint})->call(client::rpc::status, pb::StatusRequest());
    if (!status || status->leader() != status->header().member_id()) continue;
    leader = status->leader();
    return endpoint;
  }
  return std::nullopt;
}

constexpr const char* kClusterHelp = "every member of the cluster, not only --endpoints";

}  // namespace

int endpoint(std::vector<std::string> args) {
  Command command("endpoint", "Ask each server by itself: status, health, hashkv.", R"(EXAMPLES
  quorate endpoint status --cluster -w table
  quorate endpoint health --cluster             status 1 if any cannot reach a quorum
  quorate endpoint hashkv --cluster             equal numbers: equal contents at that revision)");
  Target target;
  std::int64_t revision = 0;
  auto& status_app = command.sub("status", "Version, size, leader, term and index of each.", [&] {
    return show_status(command, target.endpoints(command), command.format());
  });
  auto& health_app = command.sub("health", "Whether each can serve.",
                                 [&] { return show_health(command, target.endpoints(command)); });
  auto& hash_app = command.sub("hashkv", "A hash of each one's contents.",
                               [&] { return show_hash(command, target.endpoints(command), revision); });
  for (auto* app : {&status_app, &health_app, &hash_app})
    app->add_flag("--cluster", target.whole_cluster, kClusterHelp);
  hash_app.add_option("--rev", revision, "hash the contents as of this revision");
  return command.run(std::move(args));
}

int status(std::vector<std::string> args) {
  Command command("status", "The state of every member of the cluster.", R"(EXAMPLES
  quorate status
  quorate status --json)");
  return command.run(std::move(args), [&] {
    const Format format = command.format() == Format::simple ? Format::table : command.format();
    return show_status(command, members_endpoints(command), format);
  });
}

int defrag(std::vector<std::string> args) {
  Command command("defrag", "Give freed space back to the file system.", R"(EXAMPLES
  quorate defrag --cluster

Quorate's own store gives space back while it runs; this is for scripts written for etcd.)");
  Target target;
  command.app().add_flag("--cluster", target.whole_cluster, kClusterHelp);
  return command.run(std::move(args), [&] {
    return ask_each<pb::DefragmentRequest, pb::DefragmentResponse>(
        command, target.endpoints(command), client::rpc::defragment, {}, "defragmentation",
        [](const Endpoint& endpoint, const pb::DefragmentResponse&) {
          print(fmt::format("Finished defragmenting etcd member[{}]\n", endpoint.text));
        });
  });
}

int alarm(std::vector<std::string> args) {
  Command command("alarm", "Alarms the members have raised: list, disarm.", R"(EXAMPLES
  quorate alarm list
  quorate alarm disarm)");
  const auto show = [&](const pb::AlarmResponse& response) {
    if (command.format() == Format::json) {
      print(json(response) + "\n");
      return kOk;
    }
    for (const auto& raised : response.alarms()) {
      print(fmt::format("memberID:{} alarm:{} \n", raised.memberid(), pb::AlarmType_Name(raised.alarm())));
    }
    return kOk;
  };
  const auto list = [&] { return expect(command.connect()->call(client::rpc::alarm, pb::AlarmRequest())); };
  command.sub("list", "Show them.", [&] { return show(list()); });
  command.sub("disarm", "Clear them.", [&] {  // each is of a member and a type
    auto disarmed = list();
    const auto raised = disarmed.alarms();
    disarmed.clear_alarms();
    for (const auto& alarm : raised) {
      pb::AlarmRequest request;
      request.set_action(pb::AlarmRequest::DEACTIVATE);
      request.set_memberid(alarm.memberid());
      request.set_alarm(alarm.alarm());
      disarmed.MergeFrom(expect(command.connect()->call(client::rpc::alarm, request)));
    }
    return show(disarmed);
  });
  return command.run(std::move(args));
}

int move_leader(std::vector<std::string> args) {
  Command command("move-leader", "Hand leadership to another member.", R"(EXAMPLES
  quorate member list                           shows the IDs
  quorate move-leader 8e9e05c52164694d)");
  std::string id;
  command.app().add_option("id", id, "the member to lead (hexadecimal ID)")->required();
  return command.run(std::move(args), [&] {
    pb::MoveLeaderRequest request;
    request.set_targetid(parse_member(id));
    std::uint64_t leader = 0;
    const auto at = leader_endpoint(command, leader);
    if (!at) throw Failure{kError, "no leader found; see 'quorate endpoint status --cluster'"};
    expect(command.connect({*at})->call(client::rpc::move_leader, request));
    print(fmt::format("Leadership transferred from {} to {}\n", hex(leader), hex(request.targetid())));
    return kOk;
  });
}

}  // namespace quorate::cli
