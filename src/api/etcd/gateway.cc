#include "api/etcd/gateway.h"

#include <algorithm>
#include <array>
#include <expected>
#include <memory>
#include <optional>
#include <utility>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/util/json_util.h>

#include "api/etcd/errors.h"

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

// Appends to what is parsed already: two encodings one after the other are one message.
bool merge(google::protobuf::Message& message, std::string_view encoded) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(encoded.data()),
                                            static_cast<int>(encoded.size()));
  return message.MergePartialFromCodedStream(&in);
}

// Request and answer in the two forms. None of it touches anything else: it may run on any thread.
std::expected<http::Message, Status> read_json(const Endpoint& endpoint, std::string_view json) {
  if (json.find_first_not_of(" \t\r\n") == json.npos) json = "{}";
  const std::unique_ptr<google::protobuf::Message> request(endpoint.request->New());
  JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, request.get(), options);
  if (parsed.ok()) return http::Message::copy(request->SerializeAsString());
  return std::unexpected(Status{Code::invalid_argument, "malformed JSON: " + std::string(parsed.message())});
}

std::expected<std::string, Status> write_json(const Endpoint& endpoint, std::string_view front,
                                              const Bytes& body) {
  const std::unique_ptr<google::protobuf::Message> response(endpoint.response->New());
  std::string json;
  JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const bool parsed = response->ParsePartialFromArray(front.data(), static_cast<int>(front.size())) &&
                      merge(*response, body.view());
  if (parsed && google::protobuf::util::MessageToJsonString(*response, &json, options).ok()) return json;
  return std::unexpected(Status{Code::internal, "the response can not be written as JSON"});
}

// Of a backlog, as long as it lives: JSON that waits to be read, an answer that waits to be written as JSON.
class Waiting {
 public:
  Waiting(http::Backlog& backlog, std::size_t bytes) : backlog_(backlog.shared_from_this()), bytes_(bytes) {
    backlog_->bytes += bytes_;
  }
  Waiting(Waiting&& other) noexcept
      : backlog_(std::move(other.backlog_)), bytes_(std::exchange(other.bytes_, 0)) {}
  Waiting& operator=(Waiting&&) = delete;
  ~Waiting() {
    if (backlog_) backlog_->bytes -= bytes_;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::shared_ptr<http::Backlog> backlog_;
  std::size_t bytes_;
};

class JsonCall final : public http::Call {
 public:
  JsonCall(http::CallHost& host, const Endpoint& endpoint, http::Exchange& exchange, Aside& aside)
      : Call(host, endpoint.method, exchange), endpoint_(endpoint), aside_(aside) {
    set_deadline(began_ + whole_request_timeout);
  }
  ~JsonCall() override {
    if (counted_ != 0) host_->partial -= counted_;  // a call that has its request may outlive the host
  }

  void body(std::string_view chunk) override {
    if (!open() || (begun_ && !method().client_streams)) return;
    const std::size_t most = method().client_streams ? most_of_a_stream : 2 * host_->max_message;
    if (arrived_.size() + chunk.size() > most) {  // base64 and names need the room
      return finish(
          {Code::resource_exhausted, "the request is larger than " + std::to_string(most) + " bytes"});
    }
    if (host_->partial + chunk.size() > host_->max_partial) {
      return finish({Code::resource_exhausted, "too many request bytes are arriving at once"});
    }
    arrived_.append(chunk);
    if (method().client_streams) take_messages();
    // What comes over a WebSocket has no end: its first object is the request.
    if (!method().client_streams && exchange_ != nullptr &&
        exchange_->version() == http::Version::websocket) {
      if (const auto object = arrived_.next()) {
        std::string text(*object);
        (void)arrived_.rest();  // a unary call has one request
        return take_text(std::move(text));
      }
      if (arrived_.nonsense()) return finish({Code::invalid_argument, "malformed JSON"});
    }
    count();
  }

  void body_end() override {
    if (!open()) return;
    if (!method().client_streams) return take_text(arrived_.rest());
    take_messages();
    if (!open()) return;
    if (arrived_.size() != 0) return finish({Code::invalid_argument, "malformed JSON"});
    if (stream_) stream_->half_closed();
  }

  void send(std::string_view front, Bytes body) override {
    if (!open() || !admits(front.size() + body.size())) return;
    if (!method().server_streams && body.size() > large)
      return send_aside(std::string(front), std::move(body));
    auto json = write_json(endpoint_, front, body);
    if (!json) return finish(json.error());
    if (!method().server_streams) {
      answer_ = std::move(*json);
      return;
    }
    head(200);
    exchange_->write(Piece(Bytes::adopt("{\"result\":" + *json + "}\n")));
  }

 private:
  static constexpr std::size_t large = 32U << 10U;             // takes longer than to hand it over
  static constexpr std::size_t most_of_a_stream = 64U << 10U;  // of requests on one stream

  void take(std::expected<http::Message, Status> message) {
    if (!message) return finish(message.error());
    if (open()) begin(std::move(*message));
  }

  void take_text(std::string text) {
    begun_ = true;
    exchange_->clear_deadline();
    count();
    if (text.size() <= large) return take(read_json(endpoint_, text));
    auto& backlog = exchange_->backlog();
    const std::size_t size = text.size();
    const bool taken =
        backlog.takes(size) &&
        aside_.run([&endpoint = endpoint_, waits = Waiting(backlog, size),
                    text = std::move(text)] { return read_json(endpoint, text); },
                   [call = boost::intrusive_ptr(this)](auto message) { call->take(std::move(message)); },
                   [call = boost::intrusive_ptr(this)] { return call->open(); });
    if (!taken) finish(fault::too_many_requests);
  }

  // Those that are whole, of a stream of them.
  void take_messages() {
    const http::CallPtr keep(this);
    if (!begun_) {
      begun_ = true;
      exchange_->clear_deadline();
      if (!begin_stream()) return;
    }
    while (const auto object = arrived_.next()) {
      auto message = read_json(endpoint_, *object);
      if (!message) return finish(message.error());
      if (!stream_) return;
      stream_->message(std::move(*message));
      if (!open()) return;
    }
    count();
    if (arrived_.nonsense()) finish({Code::invalid_argument, "malformed JSON"});
  }

  void count() {
    host_->partial += arrived_.size() - counted_;
    counted_ = arrived_.size();
  }

  void send_aside(std::string front, Bytes body) {
    Waiting waits(exchange_->backlog(), body.size());
    writing_ = aside_.run([&endpoint = endpoint_, front = std::move(front),
                           body = std::move(body)] { return write_json(endpoint, front, body); },
                          [call = boost::intrusive_ptr(this),
                           waits = std::move(waits)](std::expected<std::string, Status> json) {
                            if (!call->exchange_) return;
                            if (!json)
                              return call->whole(http_status(json.error().code), error_body(json.error()));
                            call->whole(200, std::move(*json));
                          },
                          [call = boost::intrusive_ptr(this)] { return call->exchange_ != nullptr; });
    if (!writing_) finish(fault::too_many_requests);
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
    if (status.ok() && writing_) return;  // the answer follows
    if (status.ok() && !method().server_streams) return whole(200, std::move(answer_));
    if (exchange_->responded() || status.ok()) {
      head(200);
      if (!status.ok()) exchange_->write(Piece(Bytes::adopt("{\"error\":" + error_body(status) + "}\n")));
      return exchange_->finish();
    }
    whole(http_status(status.code), error_body(status));
  }

  const Endpoint& endpoint_;
  Aside& aside_;
  Objects arrived_;
  std::size_t counted_ = 0;  // of it, in host_->partial
  bool begun_ = false;       // its request is there, or the stream of them
  std::string answer_;
  bool writing_ = false;  // aside
};

}  // namespace

std::optional<std::string_view> Objects::next() {
  text_.erase(0, std::exchange(done_, 0));
  if (depth_ == 0) {
    text_.erase(0, std::min(text_.find_first_not_of(" \t\r\n,"), text_.size()));
    nonsense_ = !text_.empty() && text_.front() != '{';
    at_ = 0;
  }
  for (; at_ < text_.size() && !nonsense_; ++at_) {
    const char c = text_[at_];
    if (std::exchange(escaped_, false)) continue;
    if (quoted_) {
      escaped_ = c == '\\';
      quoted_ = c != '"';
    } else if (c == '"') {
      quoted_ = true;
    } else if (c == '{') {
      ++depth_;
    } else if (c == '}' && --depth_ == 0) {
      done_ = ++at_;
      return std::string_view(text_).substr(0, done_);
    }
  }
  return std::nullopt;
}

Gateway::Gateway(const Router& router, Aside& aside) : aside_(&aside) {
  for (const auto& route : routes) {
    if (const Endpoint* endpoint = router.find(route.method)) by_path_.emplace(route.http, endpoint);
  }
}

const Endpoint* Gateway::find(std::string_view path) const {
  const auto at = by_path_.find(path);
  return at == by_path_.end() ? nullptr : at->second;
}

void Gateway::serve(http::Exchange& exchange, http::CallHost& host, const Endpoint& endpoint) {
  exchange.accept(new JsonCall(host, endpoint, exchange, *aside_));
}

}  // namespace quorate::api::etcd
