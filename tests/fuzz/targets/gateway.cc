// The JSON gateway and the pages beside it: any path, any body. Every request that is whole gets an answer.
#include "api/etcd/gateway.h"

#include <string>
#include <vector>

#include <google/protobuf/util/json_util.h>

#include "choices.h"
#include "etcd_server.h"
#include "fuzz.h"

namespace quorate::fuzz {
namespace {

constexpr std::string_view paths[] = {"/v3/kv/range",
                                      "/v3/kv/put",
                                      "/v3/kv/deleterange",
                                      "/v3/kv/txn",
                                      "/v3/kv/compaction",
                                      "/v3/watch",
                                      "/v3/lease/grant",
                                      "/v3/lease/revoke",
                                      "/v3/lease/keepalive",
                                      "/v3/lease/timetolive",
                                      "/v3/lease/leases",
                                      "/v3/cluster/member/add",
                                      "/v3/cluster/member/remove",
                                      "/v3/cluster/member/update",
                                      "/v3/cluster/member/list",
                                      "/v3/cluster/member/promote",
                                      "/v3/maintenance/alarm",
                                      "/v3/maintenance/status",
                                      "/v3/maintenance/hashkv",
                                      "/v3/maintenance/snapshot",
                                      "/v3/maintenance/transfer-leadership",
                                      "/v3/lock/lock",
                                      "/v3/lock/unlock",
                                      "/v3/election/campaign",
                                      "/v3/election/leader",
                                      "/v3/election/observe",
                                      "/v3/election/resign",
                                      "/v3/auth/enable",
                                      "/health",
                                      "/livez",
                                      "/readyz?verbose",
                                      "/health?serializable=true&exclude=x",
                                      "/version",
                                      "/metrics",
                                      "/",
                                      "/nothing"};

bool streams(std::string_view path) {
  return path == "/v3/watch" || path.ends_with("keepalive") || path.ends_with("snapshot") ||
         path.ends_with("observe") || path.ends_with("lock") || path.ends_with("campaign");
}

std::string some_json(Choices& choices) {
  if (choices.below(3) != 0) return std::string(choices.text(400));
  const auto& method = etcd_methods()[choices.below(etcd_methods().size())];
  const std::unique_ptr<google::protobuf::Message> request(method.request->New());
  fill(*request, choices);
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(*request, &json);
  return json;
}

void run(Choices& choices) {
  EtcdServer server;
  for (int requests = 0; requests < 6 && !choices.empty(); ++requests) {
    const auto which = choices.below(std::size(paths) + 1);
    const std::string path =
        which < std::size(paths) ? std::string(paths[which]) : "/" + std::string(choices.text(40));
    const bool get = path.find('/', 1) == path.npos || choices.below(8) == 0;
    std::string body = get ? "" : some_json(choices);
    if (choices.below(4) == 0) body += some_json(choices);
    auto& exchange = server.open(choices.flip() ? http::Version::http1 : http::Version::http2,
                                 get ? "GET" : "POST", path, {{"content-type", "application/json"}});
    const auto cut = choices.below(64);
    exchange.send(std::string_view(body).substr(0, cut));
    if (body.size() > cut) exchange.send(std::string_view(body).substr(cut));
    exchange.end();
    server.turn();
    require(exchange.over() || streams(path), "a request without an answer: " + path);
    if (choices.flip()) exchange.drain();
  }
}

// In two pieces, cut anywhere: what comes out are the same objects as of the whole.
void objects(std::string_view text) {
  const auto cut_up = [&](std::size_t at) {
    api::etcd::Objects objects;
    std::vector<std::string> found;
    for (const auto piece : {text.substr(0, at), text.substr(at)}) {
      objects.append(piece);
      while (const auto object = objects.next()) {
        require(object->size() >= 2 && object->front() == '{' && object->back() == '}', "no object");
        found.emplace_back(*object);
      }
    }
    require(objects.size() <= text.size(), "text that was not there");
    return found;
  };
  require(cut_up(text.size() / 2) == cut_up(text.size()), "objects depend on where the text was cut");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(gateway) {
  quorate::fuzz::objects(input);
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
