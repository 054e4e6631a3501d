#include "api/etcd/gateway.h"

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include <google/protobuf/util/json_util.h>

namespace quorate::api::etcd {

namespace {

using google::protobuf::util::JsonParseOptions;
using google::protobuf::util::JsonPrintOptions;
using http::Code;
using http::Field;
using http::Piece;
using http::Status;

struct Route {
  std::string_view http;
  std::string_view method;
};
constexpr Route routes[] = {
    {"/v3/kv/range", "/etcdserverpb.KV/Range"},
    {"/v3/kv/put", "/etcdserverpb.KV/Put"},
    {"/v3/kv/deleterange", "/etcdserverpb.KV/DeleteRange"},
    {"/v3/kv/txn", "/etcdserverpb.KV/Txn"},
    {"/v3/kv/compaction", "/etcdserverpb.KV/Compact"},
    {"/v3/watch", "/etcdserverpb.Watch/Watch"},
    {"/v3/lease/grant", "/etcdserverpb.Lease/LeaseGrant"},
    {"/v3/lease/revoke", "/etcdserverpb.Lease/LeaseRevoke"},
    {"/v3/kv/lease/revoke", "/etcdserverpb.Lease/LeaseRevoke"},
    {"/v3/lease/keepalive", "/etcdserverpb.Lease/LeaseKeepAlive"},
    {"/v3/lease/timetolive", "/etcdserverpb.Lease/LeaseTimeToLive"},
    {"/v3/kv/lease/timetolive", "/etcdserverpb.Lease/LeaseTimeToLive"},
    {"/v3/lease/leases", "/etcdserverpb.Lease/LeaseLeases"},
    {"/v3/kv/lease/leases", "/etcdserverpb.Lease/LeaseLeases"},
    {"/v3/cluster/member/add", "/etcdserverpb.Cluster/MemberAdd"},
    {"/v3/cluster/member/remove", "/etcdserverpb.Cluster/MemberRemove"},
    {"/v3/cluster/member/update", "/etcdserverpb.Cluster/MemberUpdate"},
    {"/v3/cluster/member/list", "/etcdserverpb.Cluster/MemberList"},
    {"/v3/cluster/member/promote", "/etcdserverpb.Cluster/MemberPromote"},
    {"/v3/maintenance/alarm", "/etcdserverpb.Maintenance/Alarm"},
    {"/v3/maintenance/status", "/etcdserverpb.Maintenance/Status"},
    {"/v3/maintenance/defragment", "/etcdserverpb.Maintenance/Defragment"},
    {"/v3/maintenance/hash", "/etcdserverpb.Maintenance/Hash"},
    {"/v3/maintenance/hashkv", "/etcdserverpb.Maintenance/HashKV"},
    {"/v3/maintenance/snapshot", "/etcdserverpb.Maintenance/Snapshot"},
    {"/v3/maintenance/transfer-leadership", "/etcdserverpb.Maintenance/MoveLeader"},
    {"/v3/maintenance/downgrade", "/etcdserverpb.Maintenance/Downgrade"},
    {"/v3/auth/enable", "/etcdserverpb.Auth/AuthEnable"},
    {"/v3/auth/disable", "/etcdserverpb.Auth/AuthDisable"},
    {"/v3/auth/status", "/etcdserverpb.Auth/AuthStatus"},
    {"/v3/auth/authenticate", "/etcdserverpb.Auth/Authenticate"},
    {"/v3/auth/user/add", "/etcdserverpb.Auth/UserAdd"},
    {"/v3/auth/user/get", "/etcdserverpb.Auth/UserGet"},
    {"/v3/auth/user/list", "/etcdserverpb.Auth/UserList"},
    {"/v3/auth/user/delete", "/etcdserverpb.Auth/UserDelete"},
    {"/v3/auth/user/changepw", "/etcdserverpb.Auth/UserChangePassword"},
    {"/v3/auth/user/grant", "/etcdserverpb.Auth/UserGrantRole"},
    {"/v3/auth/user/revoke", "/etcdserverpb.Auth/UserRevokeRole"},
    {"/v3/auth/role/add", "/etcdserverpb.Auth/RoleAdd"},
    {"/v3/auth/role/get", "/etcdserverpb.Auth/RoleGet"},
    {"/v3/auth/role/list", "/etcdserverpb.Auth/RoleList"},
    {"/v3/auth/role/delete", "/etcdserverpb.Auth/RoleDelete"},
    {"/v3/auth/role/grant", "/etcdserverpb.Auth/RoleGrantPermission"},
    {"/v3/auth/role/revoke", "/etcdserverpb.Auth/RoleRevokePermission"},
    {"/v3/lock/lock", "/v3lockpb.Lock/Lock"},
    {"/v3/lock/unlock", "/v3lockpb.Lock/Unlock"},
    {"/v3/election/campaign", "/v3electionpb.Election/Campaign"},
    {"/v3/election/proclaim", "/v3electionpb.Election/Proclaim"},
    {"/v3/election/leader", "/v3electionpb.Election/Leader"},
    {"/v3/election/observe", "/v3electionpb.Election/Observe"},
    {"/v3/election/resign", "/v3electionpb.Election/Resign"},
};

constexpr auto whole_request_timeout = std::chrono::seconds(60);  // for a body to arrive

std::string quote(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += hex[byte >> 4U];
      out += hex[byte & 15U];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string error_body(const Status& status) {
  const std::string text = quote(status.message);
  return "{\"error\":" + text + ",\"code\":" + std::to_string(static_cast<int>(status.code)) +
         ",\"message\":" + text + "}";
}

class JsonCall final : public http::Call {
 public:
  JsonCall(http::CallHost& host, const Endpoint& endpoint, http::Exchange& exchange)
      : Call(host, endpoint.method, exchange), endpoint_(endpoint) {
    set_deadline(began_ + whole_request_timeout);
  }
  ~JsonCall() override {
    if (!text_.empty()) host_->partial -= text_.size();
  }

  void body(std::string_view chunk) override {
    if (!open()) return;
    if (text_.size() + chunk.size() > 2 * host_->max_message) {  // base64 and names need the room
      return finish({Code::resource_exhausted,
                     "the request is larger than " + std::to_string(2 * host_->max_message) + " bytes"});
    }
    if (host_->partial + chunk.size() > host_->max_partial) {
      return finish({Code::resource_exhausted, "too many request bytes are arriving at once"});
    }
    host_->partial += chunk.size();
    text_.append(chunk);
  }

  void body_end() override {
    if (!open()) return;
    exchange_->clear_deadline();
    host_->partial -= text_.size();
    const std::string text = std::exchange(text_, {});
    std::string_view rest = text;
    if (!method().client_streams) {
      if (auto message = decode(rest.find_first_not_of(" \t\r\n") == rest.npos ? "{}" : rest))
        begin(std::move(*message));
      return;
    }
    if (!begin_stream()) return;
    const http::CallPtr keep(this);
    for (;;) {
      const auto object = first_object(rest);
      if (object.empty()) break;
      auto message = decode(object);
      if (!message || !stream_) return;
      stream_->message(std::move(*message));
      if (!open()) return;
    }
    if (rest.find_first_not_of(" \t\r\n") != rest.npos)
      return finish({Code::invalid_argument, "malformed JSON"});
    stream_->half_closed();
  }

  void send(std::string_view front, Bytes body) override {
    if (!open()) return;
    std::string encoded(front);
    encoded.append(body.view());
    const std::unique_ptr<google::protobuf::Message> response(endpoint_.response->New());
    std::string json;
    JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    if (!response->ParseFromString(encoded) ||
        !google::protobuf::util::MessageToJsonString(*response, &json, options).ok()) {
      return finish({Code::internal, "the response can not be written as JSON"});
    }
    if (!method().server_streams) {
      answer_ = std::move(json);
      return;
    }
    head(200);
    exchange_->write(Piece(Bytes::adopt("{\"result\":" + json + "}\n")));
  }

 private:
  std::optional<http::Message> decode(std::string_view json) {
    const std::unique_ptr<google::protobuf::Message> request(endpoint_.request->New());
    JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed =
        google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, request.get(), options);
    if (!parsed.ok()) {
      finish({Code::invalid_argument, "malformed JSON: " + std::string(parsed.message())});
      return std::nullopt;
    }
    return http::Message::copy(request->SerializeAsString());
  }

  void head(int status) {
    static constexpr Field json[] = {{"content-type", "application/json", true}};
    if (!exchange_->responded()) exchange_->respond(status, json);
  }

  void whole(int status, std::string text) {
    const std::string size = std::to_string(text.size());
    const Field fields[] = {{"content-type", "application/json", true}, {"content-length", size}};
    exchange_->respond(status, fields);
    exchange_->write(Piece(Bytes::adopt(std::move(text))));
    exchange_->finish();
  }

  void end(const Status& status) override {
    if (status.ok() && !method().server_streams) return whole(200, std::move(answer_));
    if (exchange_->responded() || status.ok()) {
      head(200);
      if (!status.ok()) exchange_->write(Piece(Bytes::adopt("{\"error\":" + error_body(status) + "}\n")));
      return exchange_->finish();
    }
    whole(http_status(status.code), error_body(status));
  }

  const Endpoint& endpoint_;
  std::string text_;
  std::string answer_;
};

}  // namespace

std::string_view first_object(std::string_view& text) {
  const auto start = text.find_first_not_of(" \t\r\n,");
  if (start == text.npos || text[start] != '{') return {};
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = start; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      const auto object = text.substr(start, i + 1 - start);
      text.remove_prefix(i + 1);
      return object;
    }
  }
  return {};
}

Gateway::Gateway(const Router& router) {
  for (const auto& route : routes) {
    if (const Endpoint* endpoint = router.find(route.method)) by_path_.emplace(route.http, endpoint);
  }
}

const Endpoint* Gateway::find(std::string_view path) const {
  const auto at = by_path_.find(path);
  return at == by_path_.end() ? nullptr : at->second;
}

void Gateway::serve(http::Exchange& exchange, http::CallHost& host, const Endpoint& endpoint) {
  exchange.accept(new JsonCall(host, endpoint, exchange));
}

}  // namespace quorate::api::etcd
