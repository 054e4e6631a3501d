// Recovery of the write-ahead log from a damaged disk: what comes back is a prefix of what was written, with
// every sync whose bytes are whole and all in front of it, or a refusal that says why; never a record that
// was not written, never an end in front of what can still be read. What was recovered can be built on.
#include <algorithm>
#include <map>
#include <span>

#include "choices.h"
#include "fuzz.h"
#include "storage/crc32c.h"
#include "storage/wal_codec.h"
#include "storage/wal_format.h"
#include "storage/wal_testing.h"

namespace quorate::fuzz {
namespace {

using namespace storage;
using namespace storage::wal_testing;

const WalConfig config{.segment_bytes = 8U << 10U, .cluster = ClusterId(7), .node = NodeId(3)};

using Files = std::map<std::string, std::string>;

Files files_of(MemoryDisk& disk) {
  Files files;
  const auto names = disk.list().value();
  for (const auto& name : names) files[name] = disk.contents(name);
  return files;
}

// Bytes at their place in a file.
struct Patch {
  std::string file;
  std::size_t from = 0;
  std::string bytes;

  [[nodiscard]] bool stands_in(const Files& files) const {
    const auto found = files.find(file);
    return !bytes.empty() && found != files.end() && from < found->second.size() &&
           found->second.compare(from, bytes.size(), bytes) == 0;
  }
};

// The sectors that a sync changed; none where it began a segment.
Patch change(const Files& before, const Files& after) {
  Patch changed;
  for (const auto& [name, bytes] : after) {
    if (!wal::parse_segment_name(name)) continue;
    const auto old = before.find(name);
    if (old == before.end() || old->second.size() != bytes.size()) return {};
    const auto differs = [&](std::size_t at) {
      return old->second.compare(at, wal::sector, bytes, at, wal::sector) != 0;
    };
    std::size_t from = 0;
    while (from < bytes.size() && !differs(from)) from += wal::sector;
    if (from == bytes.size()) continue;
    std::size_t end = bytes.size();
    while (!differs(end - wal::sector)) end -= wal::sector;
    changed = {name, from, bytes.substr(from, end - from)};
  }
  return changed;
}

struct Written {
  std::unique_ptr<MemoryDisk> disk = std::make_unique<MemoryDisk>();
  std::vector<Model> states;   // after each sync; the first is the empty one
  std::vector<Patch> patches;  // what each sync changed; the first is of none
};

Written write_log(Choices& choices) {
  Written written;
  Rng rng(choices.byte());
  auto opened = Wal::open(*written.disk, config);
  require(opened.has_value(), "a fresh log does not open");
  Model model;
  written.states.push_back(model);
  written.patches.emplace_back();
  auto before = files_of(*written.disk);
  for (auto syncs = 1 + choices.below(40); syncs > 0; --syncs) {
    const std::size_t largest = 1 + 32 * choices.below(40);
    for (auto groups = 1 + choices.below(3); groups > 0; --groups) {
      const auto group = random_group(rng, model, largest);
      opened->wal->append(group.keyspace, group.writes);
      add_to(model, group);
    }
    require(opened->wal->sync().has_value(), "a sync fails on a good disk");
    written.states.push_back(model);
    auto after = files_of(*written.disk);
    written.patches.push_back(change(before, after));
    before = std::move(after);
  }
  return written;
}

// One act of damage. What is put in place comes from the disk itself or is a pattern, so that no checksum is
// forged.
void damage(MemoryDisk& disk, Choices& choices) {
  const auto names = disk.list().value();
  if (names.empty()) return;
  const auto& name = names[choices.below(names.size())];
  std::string bytes = disk.contents(name);
  const auto at = [&] { return bytes.empty() ? 0 : choices.raw(2) % bytes.size(); };
  const auto kind = choices.below(7);
  if (kind == 0 && !bytes.empty()) {
    const auto offset = at();
    bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << choices.below(8)));
  } else if (kind == 1) {
    bytes.resize(at());
  } else if (kind == 2) {
    const auto from = at();
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                std::min<std::size_t>(choices.raw(2), bytes.size() - from), choices.flip() ? '\0' : '\xff');
  } else if (kind == 3) {  // a misdirected write: a sector of another place, or of another file
    const std::string source = disk.contents(names[choices.below(names.size())]);
    const auto from = choices.raw(1) * 512;
    const auto to = choices.raw(1) * 512;
    if (from + 512 > source.size() || to + 512 > bytes.size()) return;
    bytes.replace(to, 512, source, from, 512);
  } else if (kind == 4) {
    return (void)disk.remove(name);
  } else if (kind == 5) {
    return (void)disk.rename(name, names[choices.below(names.size())]);
  } else {
    bytes += bytes.substr(at());
  }
  disk.set_contents(name, std::move(bytes));
}

// The states that a recovery may end in: of no sync in front of one whose bytes are all there.
std::span<const Model> possible_states(const Written& written) {
  const auto files = files_of(*written.disk);
  std::size_t newest = written.patches.size() - 1;
  while (newest > 0 && !written.patches[newest].stands_in(files)) --newest;
  return std::span(written.states).subspan(newest);
}

bool is_one_of(std::span<const Model> states, const std::map<KeyspaceId, Recovered>& found) {
  return std::ranges::any_of(states, [&](const Model& state) { return difference(state, found).empty(); });
}

// What is saved of a damaged log are the records of some moment, whole.
void check_salvage(const Written& written) {
  const auto saved = Wal::salvage(*written.disk, config);
  if (!saved) return require(!saved.error().what.empty(), "a refusal without a reason");
  const auto agrees = [&](const Model& state) {
    std::map<KeyspaceId, std::map<RecordKey, Bytes>> wanted;
    for (const auto& [keyspace, model] : state) {
      if (!model.records.empty()) wanted[keyspace] = model.records;
    }
    auto found = saved->records;
    std::erase_if(found, [](const auto& each) { return each.second.empty(); });
    return found == wanted;
  };
  require(std::ranges::any_of(written.states, agrees), "saved records that never were together");
}

std::map<KeyspaceId, Recovered> must_recover(MemoryDisk& disk) {
  auto opened = Wal::open(disk, config);
  require(opened.has_value(), "what was recovered and written on does not open again");
  return std::move(opened->keyspaces);
}

void check_recovery(const Written& written) {
  const auto possible = possible_states(written);
  auto opened = Wal::open(*written.disk, config);
  if (!opened) {
    require(!opened.error().what.empty(), "a refusal without a reason");
    return check_salvage(written);
  }
  require(is_one_of(written.states, opened->keyspaces), "recovered what was not written");
  require(is_one_of(possible, opened->keyspaces), "ends in front of what is whole");
  auto expected = opened->keyspaces;
  auto& state = expected[KeyspaceId(1)];
  const Write record = PutRecord{"after", Bytes::copy("recovery")};
  state.records["after"] = Bytes::copy("recovery");
  opened->wal->append(KeyspaceId(1), {&record, 1});
  require(opened->wal->sync().has_value(), "a recovered log can not be written");
  opened->wal.reset();
  const auto found = must_recover(*written.disk);
  require(found.at(KeyspaceId(1)).records == state.records, "a write behind the recovery is lost");
  // What stands in front of the snapshot may be there or not.
  const auto behind = [&](std::vector<Entry> log) {
    if (state.snapshot) std::erase_if(log, [&](const Entry& e) { return e.index <= state.snapshot->index; });
    return log;
  };
  require(behind(found.at(KeyspaceId(1)).log) == behind(state.log), "the log changed behind the recovery");
}

// A segment of the right form with any body: checksums hold, so the decoder behind them sees the bytes.
void any_body(Choices& choices) {
  using namespace storage::wal;
  MemoryDisk disk;
  {
    require(Wal::open(disk, config).has_value(), "a fresh log does not open");
  }
  const auto names = segment_names(disk);
  require(names.size() == 1, "a fresh log of several segments");
  std::string bytes = disk.contents(names.front());
  const Identity identity{config.cluster, config.node};
  std::uint64_t offset = sector;
  std::uint64_t number = 1;
  if (choices.flip()) {  // behind the first checkpoint, instead of in its place
    const auto first = find_batch_header(std::string_view(bytes).substr(sector), identity, 1, sector, 1);
    require(first.standing == Standing::valid, "no checkpoint in a fresh segment");
    offset = first.header.end();
    number = 2;
  }
  const std::string body(choices.rest());
  BatchHeader header{.kind = number == 1 ? BatchKind::checkpoint : BatchKind::writes,
                     .plain = {},
                     .segment = 1,
                     .number = number,
                     .offset = offset,
                     .body_bytes = body.size(),
                     .body_crc = crc32c(body)};
  if (header.end() > bytes.size()) return;
  encode(header, identity, bytes.data() + offset);
  std::copy(body.begin(), body.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(offset + batch_header_bytes));
  disk.set_contents(names.front(), std::move(bytes));
  const auto before = Wal::open(disk, config);
  if (!before) return require(!before.error().what.empty(), "a refusal without a reason");
  const auto again = must_recover(disk);
  require(again.size() == before->keyspaces.size(), "a second recovery differs");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(wal) {
  using namespace quorate::fuzz;
  Choices choices(input);
  if (choices.flip()) return any_body(choices);
  const Written written = write_log(choices);
  for (auto acts = choices.below(4); acts > 0; --acts) damage(*written.disk, choices);
  check_recovery(written);
}
