// etcdserverpb.Watch: many watchers on one stream.
//
// A watcher is a cursor in the model's WatchHub and costs no memory while its client is slow: events are
// taken only while the stream has room, a share of each ready watcher in turn.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_set>

#include <boost/asio/steady_timer.hpp>

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class WatchStream;

class WatchService {
 public:
  explicit WatchService(Core& core) : core_(core), timer_(core.io()) {}
  void add_to(Router& router);
  [[nodiscard]] std::size_t streams() const { return streams_.size(); }

 private:
  friend class WatchStream;
  void wake(WatchStream& stream);  // runs its pump once this turn's events are all there
  void run();
  void arm();

  Core& core_;
  boost::asio::steady_timer timer_;  // for watchers that want progress while nothing happens
  bool armed_ = false;
  std::unordered_set<WatchStream*> streams_;
  std::deque<WatchStream*> awake_;
  bool posted_ = false;  // run() comes
  // Many who watch the same are told a large revision by the same bytes.
  std::uint64_t shared_number_ = 0;
  Bytes shared_events_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class WatchStream final : public http::CallStream {
 public:
  WatchStream(WatchService& service, http::Call& call);
  ~WatchStream() override;

  void message(Message message) override;
  void writable() override { pump(); }
  std::size_t pump();  // what it does is bounded; how many rows it was
  void remind();       // of progress, at every progress interval

 private:
  friend class WatchService;
  struct Watcher {
    models::etcd::WatchId cursor = 0;
    std::int64_t start_revision = 0;
    bool progress = false;
    bool fragment = false;
    bool ready = false;  // in ready_
    bool told = false;   // something was sent since the last reminder
  };
  using Watchers = std::map<std::int64_t, Watcher>;

  void create(const etcdserverpb::WatchCreateRequest& request);
  void cancel(std::int64_t id);
  void refuse(const std::string& reason);
  std::size_t take(Watchers::iterator at);
  [[nodiscard]] Bytes whole(const models::etcd::WatchBatch& batch);
  void send_events(std::int64_t id, bool fragment, const models::etcd::WatchBatch& batch);
  void send_response(std::string_view fields, std::int64_t id, std::int64_t revision);
  bool answer_progress();
  [[nodiscard]] bool in_future(const Watcher& watcher) const;
  models::etcd::WatchHub& hub() { return service_.core_.model().watches(); }

  WatchService& service_;
  http::Call* call_;  // outlives its stream
  Watchers watchers_;
  std::deque<std::int64_t> ready_;
  std::int64_t next_id_ = 0;
  bool progress_wanted_ = false;  // by hand, not answered yet: some watcher is behind
  bool awake_ = false;            // in service_.awake_
};

}  // namespace quorate::api::etcd
