#include <algorithm>

#include <fmt/format.h>

#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& urls) {
  std::string out;
  for (const auto& url : urls) out += (out.empty() ? "" : ",") + url;
  return out;
}

std::vector<std::string> cells(const pb::Member& member) {
  return {hex(member.id()),
          member.name().empty() ? "unstarted" : "started",
          member.name(),
          joined(member.peerurls()),
          joined(member.clienturls()),
          member.islearner() ? "true" : "false"};
}

std::string member_fields(const pb::Member& member) {
  std::string out = fmt::format("\"ID\" : {}\n\"Name\" : {}\n", member.id(), quote(member.name()));
  for (const auto& url : member.peerurls()) out += fmt::format("\"PeerURL\" : {}\n", quote(url));
  for (const auto& url : member.clienturls()) out += fmt::format("\"ClientURL\" : {}\n", quote(url));
  return out + fmt::format("\"IsLearner\" : {}\n\n", member.islearner());
}

int list(Command& command) {
  pb::MemberListRequest request;
  request.set_linearizable(true);
  const auto response = expect(command.connect()->call(client::rpc::member_list, request));
  std::string out;
  Table table({"ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"});
  switch (command.format()) {
    case Format::json: print(json(response) + "\n"); return kOk;
    case Format::fields:
      out = header_fields(response.header());
      for (const auto& member : response.members()) out += member_fields(member);
      break;
    case Format::table:
      for (const auto& member : response.members()) table.row(cells(member));
      out = table.str();
      break;
    case Format::simple:
      for (const auto& member : response.members())
        out += fmt::format("{}\n", fmt::join(cells(member), ", "));
  }
  print(out);
  return kOk;
}

// The answers to changes share a form: the change in words, or the whole message.
template <class Response>
int changed(Command& command, const Response& response, const std::string& words) {
  if (command.format() == Format::json) {
    print(json(response) + "\n");
  } else {
    print(words + "\n");
  }
  return kOk;
}

std::string cluster_of(const pb::ResponseHeader& header) {
  return fmt::format("{:16x}", header.cluster_id());
}

std::vector<std::string> split_urls(const std::vector<std::string>& given) {
  std::vector<std::string> urls;
  for (const auto& list : given) {
    for (std::size_t at = 0; at <= list.size();) {
      const auto comma = std::min(list.find(',', at), list.size());
      if (comma > at) urls.push_back(list.substr(at, comma - at));
      at = comma + 1;
    }
  }
  return urls;
}

std::string new_member_environment(const pb::MemberAddResponse& response, const std::string& name) {
  std::string cluster;
  for (const auto& member : response.members()) {
    for (const auto& url : member.peerurls()) {
      const std::string& shown = member.id() == response.member().id() ? name : member.name();
      cluster += fmt::format("{}{}={}", cluster.empty() ? "" : ",", shown, url);
    }
  }
  return fmt::format(
      "\nETCD_NAME=\"{}\"\nETCD_INITIAL_CLUSTER=\"{}\"\nETCD_INITIAL_ADVERTISE_PEER_URLS=\"{}\"\n"
      "ETCD_INITIAL_CLUSTER_STATE=\"existing\"",
      name, cluster, joined(response.member().peerurls()));
}

int add(Command& command, const std::string& name, const std::vector<std::string>& urls, bool learner) {
  pb::MemberAddRequest request;
  for (const auto& url : split_urls(urls)) request.add_peerurls(url);
  request.set_islearner(learner);
  const auto response = expect(command.connect()->call(client::rpc::member_add, request));
  return changed(command, response,
                 fmt::format("Member {:16x} added to cluster {}\n", response.member().id(),
                             cluster_of(response.header())) +
                     new_member_environment(response, name));
}

int remove(Command& command, const std::string& id) {
  pb::MemberRemoveRequest request;
  request.set_id(parse_member(id));
  const auto response = expect(command.connect()->call(client::rpc::member_remove, request));
  return changed(
      command, response,
      fmt::format("Member {:16x} removed from cluster {}", request.id(), cluster_of(response.header())));
}

int update(Command& command, const std::string& id, const std::vector<std::string>& urls) {
  pb::MemberUpdateRequest request;
  request.set_id(parse_member(id));
  for (const auto& url : split_urls(urls)) request.add_peerurls(url);
  const auto response = expect(command.connect()->call(client::rpc::member_update, request));
  return changed(
      command, response,
      fmt::format("Member {:16x} updated in cluster {}", request.id(), cluster_of(response.header())));
}

int promote(Command& command, const std::string& id) {
  pb::MemberPromoteRequest request;
  request.set_id(parse_member(id));
  const auto response = expect(command.connect()->call(client::rpc::member_promote, request));
  return changed(
      command, response,
      fmt::format("Member {:16x} promoted in cluster {}", request.id(), cluster_of(response.header())));
}

}  // namespace

int member(std::vector<std::string> args) {
  Command command("member", "The nodes of the cluster: list, add, remove, update, promote.", R"(EXAMPLES
  quorate member list -w table
  quorate member add n4 --peer-urls http://10.0.0.4:2380 --learner
                                                it follows without a vote until it is promoted
  quorate member promote 8e9e05c52164694d
  quorate member remove 8e9e05c52164694d)");
  std::string name;
  std::string id;
  std::vector<std::string> urls;
  bool learner = false;
  command.sub("list", "Show the members.", [&] { return list(command); });
  auto& add_app = command.sub("add", "Add a member.", [&] { return add(command, name, urls, learner); });
  add_app.add_option("name", name, "its name")->required();
  add_app.add_flag("--learner", learner, "as a learner: no vote until promoted");
  auto& remove_app = command.sub("remove", "Remove a member.", [&] { return remove(command, id); });
  auto& update_app =
      command.sub("update", "Change a member's addresses.", [&] { return update(command, id, urls); });
  auto& promote_app =
      command.sub("promote", "Give a learner its vote.", [&] { return promote(command, id); });
  for (auto* app : {&add_app, &update_app}) {
    app->add_option("--peer-urls", urls, "where the other members reach it, comma-separated")
        ->required()
        ->allow_extra_args(false);
  }
  for (auto* app : {&remove_app, &update_app, &promote_app}) {
    app->add_option("id", id, "the member's ID (hexadecimal)")->required();
  }
  return command.run(std::move(args));
}

}  // namespace quorate::cli
