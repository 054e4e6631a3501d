// The etcd v3 API of one keyspace: gRPC, JSON gateway, health and metrics behind one http::Handler.
//
//   Listener (src/api/http)  ->  EtcdApi::handler()  ->  Backend (the node)
//
// Single-threaded: the io_context of the listener is the backend's too. The EtcdApi must outlive the listener
// that uses it, and every completion it left with the backend: close the backend's operations first.
#pragma once

#include <memory>

#include "api/etcd/backend.h"
#include "api/etcd/core.h"
#include "api/http/exchange.h"

namespace quorate::api::etcd {

class EtcdApi {
 public:
  EtcdApi(boost::asio::io_context& io, Backend& backend, Settings settings = {});
  ~EtcdApi();
  EtcdApi(const EtcdApi&) = delete;
  EtcdApi& operator=(const EtcdApi&) = delete;

  [[nodiscard]] http::Handler& handler();
  [[nodiscard]] http::Handler& pages();  // metrics and health alone
  // Ends the streams that never end by themselves (watches, keep-alives) and takes no new calls.
  void stop();
  // To be told of leader changes, for the metric and for who watches health; the API asks the backend for the
  // leader itself.
  void leader_changed();
  // This node has no space left: tells all members by an alarm, unless it is raised already.
  void raise_no_space();

 private:
  class Dispatcher;
  std::unique_ptr<Dispatcher> dispatcher_;
};

}  // namespace quorate::api::etcd
