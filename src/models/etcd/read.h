// Range requests against the store, now or as of an earlier revision.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "api/proto/rpc.pb.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/store.h"

namespace quorate::models::etcd {

// What a reader may see, and how much of it.
struct View {
  const storage::Reader& reader;
  std::int64_t revision;     // the newest
  std::int64_t compacted;    // the oldest
  Effort* effort = nullptr;  // null: as much as it takes
};

Error validate(const etcdserverpb::RangeRequest& request);
// Whether the revision asked for can be read; 0 and below stand for the newest.
Error check_revision(std::int64_t revision, const View& view);
// Appends the RangeResponse without its header; too_large once the view's effort is spent. The request is
// valid.
Error read_range(const etcdserverpb::RangeRequest& request, const View& view, std::string& body);
// The same in parts.
Error read_range_part(const etcdserverpb::RangeRequest& request, const View& view, RangeCursor& cursor,
                      std::size_t max_bytes, std::string& body);

}  // namespace quorate::models::etcd
