// One call that waits for its turn in a queue of keys (see concurrency.h), and what both sides of it share.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/etcd/core.h"
#include "api/proto/kv.pb.h"

namespace quorate::api::etcd {

[[nodiscard]] std::string prefix_of(const std::string& name);  // "name/"
[[nodiscard]] std::string prefix_end(
    const std::string& prefix);  // the first key behind all that begin with it

// The key of `prefix` that was created first: lock owner, leader.
[[nodiscard]] std::optional<mvccpb::KeyValue> first_created(Core& core, const std::string& prefix);

struct Contest {
  std::string name;
  std::string value;
  std::int64_t lease = 0;  // 0: one is granted
};
struct Turn {
  std::string key;
  std::int64_t created = 0;  // create revision of the key
  std::int64_t lease = 0;
};

// Waits in the background of `call`; `won` is called when the turn has come, and answers the call. A call
// that ends before that leaves the queue.
void contend(Core& core, const CallPtr& call, Contest contest,
             std::function<void(http::Call&, const Turn&)> won);

}  // namespace quorate::api::etcd
