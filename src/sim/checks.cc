#include "sim/checks.h"

#include "core/codec.h"
#include "replica/messages.h"

namespace quorate::sim {

void Checks::started(NodeId node, const Recovered& recovered) {
  safety_.position(node, recovered.snapshot ? recovered.snapshot->index : Index());
  if (leaders_) take("log matching", logs_.recovered(node, recovered));
}

void Checks::wrote(NodeId node, const std::vector<Write>& writes) {
  if (!leaders_) return;
  for (const Write& write : writes) take("log matching", logs_.written(node, write));
}

void Checks::committed(NodeId node, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    const bool first = !safety_.known(entry.index);
    take("state machine safety", safety_.committed(node, entry.index, check::fingerprint(entry)));
    if (first) first_committed(entry);
  }
  if (leaders_ && !entries.empty()) logs_.committed(node, entries.back().index);
}

void Checks::first_committed(const Entry& entry) {
  if (entry.kind == EntryKind::membership) {
    auto membership = codec::decode<Membership>(entry.payload);
    if (membership && entry.index > membership_index_) {
      membership_index_ = entry.index;
      membership_ = std::move(*membership);
    }
  }
  if (entry.kind != EntryKind::payload) return;
  const auto batch = codec::decode<replica::CommandBatch>(entry.payload);
  if (!batch) return;
  for (const auto& command : batch->commands) {
    if (!admission_.admit(command)) continue;
    if (companion_ != nullptr) companion_->committed(command, entry.index);
    const std::uint64_t id = model_->id_of(command.body);
    if (id != 0) take("refused means not done", durability_.committed(id, entry.index));
  }
}

void Checks::leads(NodeId node, Epoch epoch) {
  if (epoch.none()) return;  // leadership as a hint only: it excludes no other and promises nothing
  if (!leaders_) return;
  take("election safety", elections_.leads(node, epoch));
  take("leader completeness", logs_.leads(node, epoch));
}

void Checks::applied(NodeId node, Index index, const Bytes& digest) {
  take("digest agreement", digests_.state(node, index, digest));
}

void Checks::acknowledged(std::uint64_t command) { take("durability", durability_.acknowledged(command)); }
void Checks::refused(std::uint64_t command) { take("refused means not done", durability_.refused(command)); }
void Checks::final_state(NodeId node, Index applied) {
  take("durability", durability_.final_state(node, applied));
}

}  // namespace quorate::sim
