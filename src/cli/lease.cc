#include <fmt/format.h>

#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

std::uint64_t bits(std::int64_t id) { return static_cast<std::uint64_t>(id); }

int grant(Command& command, std::int64_t ttl, const std::string& id) {
  pb::LeaseGrantRequest request;
  request.set_ttl(ttl);
  request.set_id(id.empty() ? 0 : parse_lease(id));
  auto granted = command.connect()->call(client::rpc::lease_grant, request);
  if (!granted) throw Failure{kError, "failed to grant lease (" + granted.error().message + ")"};
  const auto& response = *granted;
  switch (command.format()) {
    case Format::json:
      print(fmt::format("{{{},\"ID\":{},\"TTL\":{},\"Error\":{}}}\n", header_json_members(response.header()),
                        response.id(), response.ttl(), json_string(response.error())));
      break;
    case Format::fields:
      print(header_fields(response.header()) +
            fmt::format("\"ID\" : {}\n\"TTL\" : {}\n", response.id(), response.ttl()));
      break;
    default: print(fmt::format("lease {:016x} granted with TTL({}s)\n", bits(response.id()), response.ttl()));
  }
  return kOk;
}

int revoke(Command& command, const std::string& id) {
  pb::LeaseRevokeRequest request;
  request.set_id(parse_lease(id));
  auto response = command.connect()->call(client::rpc::lease_revoke, request);
  if (!response) throw Failure{kError, "failed to revoke lease (" + response.error().message + ")"};
  switch (command.format()) {
    case Format::json: print(json(*response) + "\n"); break;
    case Format::fields: print(header_fields(response->header())); break;
    default: print(fmt::format("lease {:016x} revoked\n", bits(request.id())));
  }
  return kOk;
}

std::string time_to_live_simple(const pb::LeaseTimeToLiveResponse& response, const Command& command,
                                bool keys) {
  if (response.ttl() == -1) return fmt::format("lease {:016x} already expired\n", bits(response.id()));
  std::string out = fmt::format("lease {:016x} granted with TTL({}s), remaining({}s)", bits(response.id()),
                                response.grantedttl(), response.ttl());
  if (keys) {
    out += ", attached keys([";
    for (int i = 0; i < response.keys_size(); ++i)
      out += (i > 0 ? " " : "") + command.shown(response.keys(i));
    out += "])";
  }
  return out + "\n";
}

int time_to_live(Command& command, const std::string& id, bool keys) {
  pb::LeaseTimeToLiveRequest request;
  request.set_id(parse_lease(id));
  request.set_keys(keys);
  const auto response = expect(command.connect()->call(client::rpc::lease_time_to_live, request));
  std::string list;
  switch (command.format()) {
    case Format::json:
      for (const auto& key : response.keys()) list += (list.empty() ? "\"" : ",\"") + base64(key) + "\"";
      print(fmt::format("{{{},\"id\":{},\"ttl\":{},\"granted-ttl\":{},\"keys\":{}}}\n",
                        header_json_members(response.header()), response.id(), response.ttl(),
                        response.grantedttl(), list.empty() ? "null" : "[" + list + "]"));
      break;
    case Format::fields:
      for (const auto& key : response.keys()) list += fmt::format("\"Key\" : {}\n", quote(key));
      print(header_fields(response.header()) +
            fmt::format("\"ID\" : {}\n\"TTL\" : {}\n\"GrantedTTL\" : {}\n{}", response.id(), response.ttl(),
                        response.grantedttl(), list));
      break;
    default: print(time_to_live_simple(response, command, keys));
  }
  return kOk;
}

int list(Command& command) {
  const auto response = expect(command.connect()->call(client::rpc::lease_leases, pb::LeaseLeasesRequest()));
  std::string out;
  switch (command.format()) {
    case Format::json:
      for (const auto& lease : response.leases())
        out += fmt::format("{}{{\"id\":{}}}", out.empty() ? "" : ",", lease.id());
      print(fmt::format("{{{},\"leases\":[{}]}}\n", header_json_members(response.header()), out));
      break;
    case Format::fields:
      out = header_fields(response.header());
      for (const auto& lease : response.leases()) out += fmt::format("\"ID\" : {}\n", lease.id());
      print(out);
      break;
    default:
      out = fmt::format("found {} leases\n", response.leases_size());
      for (const auto& lease : response.leases()) out += fmt::format("{:016x}\n", bits(lease.id()));
      print(out);
  }
  return kOk;
}

std::string kept(const Command& command, const pb::LeaseKeepAliveResponse& response) {
  switch (command.format()) {
    case Format::json:
      return fmt::format("{{{},\"ID\":{},\"TTL\":{}}}\n", header_json_members(response.header()),
                         response.id(), response.ttl());
    case Format::fields:
      return header_fields(response.header()) +
             fmt::format("\"ID\" : {}\n\"TTL\" : {}\n", response.id(), response.ttl());
    default:
      return fmt::format("lease {:016x} keepalived with TTL({})\n", bits(response.id()), response.ttl());
  }
}

int keep_alive(Command& command, const std::string& id, bool once) {
  pb::LeaseKeepAliveRequest request;
  request.set_id(parse_lease(id));
  const auto client = command.connect();
  for (;;) {
    auto stream = expect(client->open(client::rpc::lease_keep_alive));
    for (;;) {
      stream.send(request);
      const auto response = stream.read(client::Clock::now() + client->options().command_timeout);
      if (!response) {
        if (once) throw Failure{kBadConnection, response.error().message};
        break;  // another endpoint may answer
      }
      if (response->ttl() <= 0) {
        if (once) throw Failure{kBadConnection, "etcdserver: requested lease not found"};
        print(fmt::format("lease {:016x} expired or revoked.\n", bits(request.id())));
        return kOk;
      }
      print(kept(command, *response));
      flush();
      if (once) return kOk;
      // Three chances before it ends.
      client->loop().run_until([] { return false; },
                               client::Clock::now() + std::chrono::milliseconds(response->ttl() * 1000 / 3));
    }
    client->next_endpoint();
  }
}

}  // namespace

int lease(std::vector<std::string> args) {
  Command command("lease", "Leases: keys attached to one are deleted when it ends.", R"(EXAMPLES
  quorate lease grant 60                        prints the ID of a lease of 60 seconds
  quorate put service/a 10.0.0.1 --lease ID     a key that goes with it
  quorate lease keep-alive ID                   renew it until interrupted
  quorate lease timetolive ID --keys
  quorate lease revoke ID                       end it now, and delete its keys)");
  std::int64_t ttl = 0;
  std::string id;
  std::string wanted;
  bool keys = false;
  bool once = false;
  auto& grant_app = command.sub("grant", "Make a lease.", [&] { return grant(command, ttl, wanted); });
  grant_app.add_option("ttl", ttl, "seconds it lasts without renewal")->required();
  grant_app.add_option("--id", wanted, "the ID to give it (hexadecimal); else the server chooses");
  auto& revoke_app =
      command.sub("revoke", "End a lease and delete its keys.", [&] { return revoke(command, id); });
  auto& ttl_app =
      command.sub("timetolive", "What is left of a lease.", [&] { return time_to_live(command, id, keys); });
  ttl_app.add_flag("--keys", keys, "and the keys attached to it");
  command.sub("list", "All leases.", [&] { return list(command); });
  auto& alive_app = command.sub("keep-alive", "Renew a lease until interrupted.",
                                [&] { return keep_alive(command, id, once); });
  alive_app.add_flag("--once", once, "renew it once");
  for (auto* app : {&revoke_app, &ttl_app, &alive_app})
    app->add_option("id", id, "the lease's ID (hexadecimal)")->required();
  return command.run(std::move(args));
}

}  // namespace quorate::cli
