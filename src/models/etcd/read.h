// Range requests against the store, now or as of an earlier revision.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "api/proto/rpc.pb.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/store.h"
#include "models/pace.h"

namespace quorate::models::etcd {

// What a reader may see, and how much of it.
struct View {
  const storage::Reader& reader;
  std::int64_t revision;     // the newest
  std::int64_t compacted;    // the oldest
  Effort* effort = nullptr;  // null: as much as it takes
  // False while a command is half done: the live keys are those of no revision, and what is now is read from
  // the history.
  bool settled = true;
  // What a Scan is to read for now.
  [[nodiscard]] std::int64_t now() const { return settled ? 0 : revision; }
};

Error validate(const etcdserverpb::RangeRequest& request);
// Whether the revision asked for can be read; 0 and below stand for the newest.
Error check_revision(std::int64_t revision, const View& view);
// Appends the RangeResponse without its header; too_large once the view's effort is spent. The request is
// valid.
Error read_range(const etcdserverpb::RangeRequest& request, const View& view, std::string& body);

// The same in steps. Request, view and body must outlive it, and be as they were at each.
class RangeRead {
 public:
  RangeRead(const etcdserverpb::RangeRequest& request, const View& view, std::string& body);
  ~RangeRead();
  RangeRead(const RangeRead&) = delete;
  RangeRead& operator=(const RangeRead&) = delete;
  bool go_on(Pace& pace);  // until the pace is spent, or the end: then true
  [[nodiscard]] Error error() const { return error_; }

 private:
  struct Candidate;
  class Order;
  struct Heap;
  enum class Stage : std::uint8_t { scan, sort, write };

  bool scan(Pace& pace);
  bool sort(Pace& pace);
  bool write(Pace& pace);
  void take(std::string_view key, std::string_view tail);
  void take_in_order(std::string_view key, std::string_view tail);
  void take_candidate(std::string_view key, std::string_view tail);
  [[nodiscard]] bool limited() const;
  void finish();

  const etcdserverpb::RangeRequest& request_;
  const View& view_;
  std::string& body_;
  Effort unbounded_{SIZE_MAX, SIZE_MAX};
  Effort& effort_;
  KeyRange range_;  // what is left of it
  Stage stage_ = Stage::scan;
  Error error_ = Error::none;
  std::int64_t in_range_ = 0;
  std::int64_t matched_ = 0;
  std::unique_ptr<Heap> best_;  // of a sorted range: no more than the limit, the last on top
  std::size_t sorted_ = 0;
  std::size_t written_ = 0;
};

// The range in parts, as a client gets them.
Error read_range_part(const etcdserverpb::RangeRequest& request, const View& view, RangeCursor& cursor,
                      std::size_t max_bytes, std::string& body);

}  // namespace quorate::models::etcd
