// The methods of the API by path, with what the JSON gateway needs to know of each.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <google/protobuf/message.h>

#include "api/http/rpc.h"

namespace quorate::api::etcd {

struct Endpoint {
  http::Method method;
  const google::protobuf::Message* request;  // prototypes
  const google::protobuf::Message* response;
};

class Router {
 public:
  template <class Request, class Response>
  void unary(std::string path, std::function<void(http::CallPtr, http::Message)> call) {
    add<Request, Response>({.path = std::move(path), .call = std::move(call)});
  }
  template <class Request, class Response>
  void server_stream(std::string path, std::function<void(http::CallPtr, http::Message)> call) {
    add<Request, Response>({.path = std::move(path), .server_streams = true, .call = std::move(call)});
  }
  template <class Request, class Response>
  void bidirectional(std::string path, std::function<std::unique_ptr<http::CallStream>(http::CallPtr)> open) {
    add<Request, Response>(
        {.path = std::move(path), .client_streams = true, .server_streams = true, .open = std::move(open)});
  }

  [[nodiscard]] const Endpoint* find(std::string_view path) const {
    const auto at = by_path_.find(path);
    return at == by_path_.end() ? nullptr : at->second;
  }
  [[nodiscard]] const std::vector<std::unique_ptr<Endpoint>>& endpoints() const { return endpoints_; }

 private:
  template <class Request, class Response>
  void add(http::Method method) {
    method.number = endpoints_.size();
    endpoints_.push_back(std::make_unique<Endpoint>(
        Endpoint{std::move(method), &Request::default_instance(), &Response::default_instance()}));
    by_path_.emplace(endpoints_.back()->method.path, endpoints_.back().get());
  }
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::unordered_map<std::string_view, const Endpoint*> by_path_;
};

}  // namespace quorate::api::etcd
