// Log Matching (Raft §5.3): if two logs hold an entry with the same index and epoch, they are the same up to
// there. And Leader Completeness (§5.4.3): a leader's log holds every entry committed in earlier epochs.
// Both are judged on shadows of the logs, kept from the nodes' durable writes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "check/fingerprint.h"
#include "core/entry.h"
#include "core/ids.h"

namespace quorate::check {

class LogMatching {
 public:
  // `node` starts with what it recovered.
  [[nodiscard]] std::optional<std::string> recovered(NodeId node, const Recovered& recovered);
  // `node` issued this durable write (it may be lost in a crash; recovered() then tells).
  [[nodiscard]] std::optional<std::string> written(NodeId node, const Write& write);
  // The entry at `index` and all before it are committed, as `node` sees it.
  void committed(NodeId node, Index index);
  // `node` leads `epoch` from now on.
  [[nodiscard]] std::optional<std::string> leads(NodeId node, Epoch epoch) const;

 private:
  struct Mark {
    Epoch epoch;
    Fingerprint chain = 0;  // of the whole log up to here,
    bool known = false;     // unless it begins behind an entry nobody was seen to write
  };
  struct Log {
    Index base;  // marks[0] is the entry behind this index
    std::vector<Mark> marks;
    bool known_base = true;  // the chain up to base is known
    Fingerprint base_chain = 0;
    [[nodiscard]] Index last() const { return base + marks.size(); }
    [[nodiscard]] const Mark* at(Index index) const {
      return index > base && index <= last() ? &marks[index - base - 1] : nullptr;
    }
  };
  struct Key {
    std::uint64_t index;
    std::uint64_t epoch;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept { return combine(key.index, key.epoch); }
  };

  std::optional<std::string> append(NodeId node, Log& log, const Entry& entry);
  void restart_at(Log& log, const SnapshotMeta& meta);

  std::unordered_map<NodeId, Log> logs_;
  std::unordered_map<Key, Fingerprint, KeyHash> chains_;  // of every log that ever held this entry
  Index committed_;
  Mark committed_mark_;
  bool committed_known_ = false;
};

}  // namespace quorate::check
