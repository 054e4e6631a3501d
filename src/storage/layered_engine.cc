#include "storage/layered_engine.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "storage/merging_cursor.h"

namespace quorate::storage {

struct LayeredEngine::Layer {
  std::shared_ptr<Memtable> memtable;
  std::atomic<bool> merged{false};  // the base has it
  bool flushing = false;            // a flush has taken it up
};

namespace {

enum class Found : std::uint8_t { no, erased, yes };

Found look(const Memtable& memtable, Table table, std::string_view key, std::string& value) {
  const auto* row = memtable.find(table, key);
  if (row == nullptr) return Found::no;
  if (row->erased) return Found::erased;
  value.assign(row->value.view());
  return Found::yes;
}

// A moment's layers; what they hold does not change any more.
class LayeredSnapshot final : public Reader, public std::enable_shared_from_this<LayeredSnapshot> {
 public:
  LayeredSnapshot(std::vector<std::shared_ptr<const Memtable>> newest_first,
                  std::shared_ptr<const Reader> base)
      : layers_(std::move(newest_first)), base_(std::move(base)) {}

  bool get(Table table, std::string_view key, std::string& value) const override {
    for (const auto& layer : layers_) {
      if (const Found found = look(*layer, table, key, value); found != Found::no) return found == Found::yes;
    }
    return base_->get(table, key, value);
  }
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
    std::vector<const Memtable*> memtables;
    for (const auto& layer : layers_) memtables.push_back(layer.get());
    return merging_cursor(memtables, *base_, table, shared_from_this());
  }

 private:
  std::vector<std::shared_ptr<const Memtable>> layers_;
  std::shared_ptr<const Reader> base_;
};

constexpr std::size_t largest_to_join = 2U << 20U;

// How many rows of merged memtables are given back with each change: more than come in.
constexpr std::size_t dismantled_per_change = 8;

}  // namespace

LayeredEngine::LayeredEngine(std::shared_ptr<BaseEngine> base)
    : base_(std::move(base)), active_(std::make_shared<Memtable>()) {}
LayeredEngine::~LayeredEngine() = default;

bool LayeredEngine::get(Table table, std::string_view key, std::string& value) const {
  Found found = look(*active_, table, key, value);
  for (auto layer = frozen_.rbegin(); found == Found::no && layer != frozen_.rend(); ++layer) {
    found = look(*(*layer)->memtable, table, key, value);
  }
  return found == Found::no ? base_->get(table, key, value) : found == Found::yes;
}

std::unique_ptr<Cursor> LayeredEngine::cursor(Table table) const {
  std::vector<const Memtable*> memtables{active_.get()};
  for (auto layer = frozen_.rbegin(); layer != frozen_.rend(); ++layer) {
    memtables.push_back((*layer)->memtable.get());
  }
  return merging_cursor(memtables, *base_, table);
}

void LayeredEngine::put(Table table, std::string_view key, Bytes value) {
  tidy();
  active_->put(table, key, std::move(value));
}

void LayeredEngine::erase(Table table, std::string_view key) {
  tidy();
  active_->erase(table, key);
}

// Drops the layers that are in the base by now.
void LayeredEngine::tidy() {
  while (!frozen_.empty() && frozen_.front()->merged.load(std::memory_order_acquire)) {
    merged_.push_back(std::move(frozen_.front()));
    frozen_.erase(frozen_.begin());
  }
  if (merged_.empty()) return;
  auto& memtable = merged_.back()->memtable;
  const bool read_by_others = merged_.back().use_count() > 1 || memtable.use_count() > 1;
  if (read_by_others || !memtable->dismantle(dismantled_per_change)) merged_.pop_back();
}

void LayeredEngine::freeze() const {
  if (active_->empty()) return;
  active_->freeze();
  auto fresh = std::make_shared<Memtable>();
  fresh->walk_what(*active_);
  frozen_.push_back(std::make_shared<Layer>());
  frozen_.back()->memtable = std::exchange(active_, std::move(fresh));
}

// Snapshots in quick succession would leave a layer each: small ones of like sizes are joined, which keeps
// their number in proportion to what is written between flushes. Large ones take too long to join.
void LayeredEngine::join_small_layers() const {
  while (frozen_.size() >= 2) {
    const auto& newer = *frozen_.back();
    const auto& older = *frozen_[frozen_.size() - 2];
    const std::size_t size = newer.memtable->bytes();
    if (older.flushing || older.memtable->bytes() > 2 * size || size > largest_to_join) return;
    auto joined = std::make_shared<Layer>();
    joined->memtable = std::make_shared<Memtable>();
    joined->memtable->walk_what(*newer.memtable);
    joined->memtable->add(*older.memtable);
    joined->memtable->add(*newer.memtable);
    joined->memtable->freeze();
    frozen_.pop_back();
    frozen_.back() = std::move(joined);
  }
}

Engine::FlushJob LayeredEngine::begin_flush() {
  freeze();
  for (auto& layer : frozen_) layer->flushing = true;
  return [base = base_, layers = frozen_]() mutable -> IoResult<void> {
    std::vector<std::shared_ptr<const Memtable>> memtables;
    for (const auto& layer : layers) memtables.push_back(layer->memtable);
    if (auto merged = base->merge(memtables); !merged) return merged;
    memtables.clear();
    for (const auto& layer : layers) layer->merged.store(true, std::memory_order_release);
    layers.clear();
    return {};
  };
}

std::shared_ptr<const Reader> LayeredEngine::snapshot() const {
  freeze();
  join_small_layers();
  std::vector<std::shared_ptr<const Memtable>> newest_first;
  for (auto layer = frozen_.rbegin(); layer != frozen_.rend(); ++layer)
    newest_first.push_back((*layer)->memtable);
  return std::make_shared<LayeredSnapshot>(std::move(newest_first), base_->snapshot());
}

std::uint64_t LayeredEngine::bytes_on_disk() const { return base_->bytes_on_disk(); }

std::uint64_t LayeredEngine::bytes_of_layers() const {
  std::uint64_t total = active_->bytes();
  for (const auto& layer : frozen_) {
    if (!layer->merged.load(std::memory_order_acquire)) total += layer->memtable->bytes();
  }
  return total;
}

std::uint64_t LayeredEngine::bytes_in_use() const { return base_->bytes_in_use() + bytes_of_layers(); }
std::uint64_t LayeredEngine::bytes_unflushed() const { return base_->bytes_unflushed() + bytes_of_layers(); }

}  // namespace quorate::storage
