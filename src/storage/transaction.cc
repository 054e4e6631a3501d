#include "storage/transaction.h"

#include <utility>

namespace quorate::storage {
namespace {

// Merges the base's cursor with the changes; a change hides the base's key of the same name. Both sides stand
// at or behind the current key in the direction of travel; turning round places them anew.
template <class Changes>
class MergedCursor final : public Cursor {
 public:
  MergedCursor(std::unique_ptr<Cursor> base, const Changes& changes)
      : base_(std::move(base)), changes_(&changes), change_(changes.end()) {}

  void seek(std::string_view key) override {
    forward_ = true;
    base_->seek(key);
    change_ = changes_->lower_bound(key);
    settle_forward();
  }

  void seek_last(std::string_view key) override {
    forward_ = false;
    base_->seek_last(key);
    change_ = changes_->upper_bound(key);
    step_back();
    settle_backward();
  }

  void next() override {
    if (!forward_) {
      const std::string at(key());
      seek(at);
    }
    pass_forward();
    settle_forward();
  }

  void prev() override {
    if (forward_) {
      const std::string at(key());
      seek_last(at);
    }
    pass_backward();
    settle_backward();
  }

  [[nodiscard]] bool valid() const override { return source_ != Source::none; }
  [[nodiscard]] std::string_view key() const override {
    return source_ == Source::base ? base_->key() : std::string_view(change_->first);
  }
  [[nodiscard]] std::string_view value() const override {
    return source_ == Source::base ? base_->value() : std::string_view(*change_->second);
  }

 private:
  enum class Source : std::uint8_t { none, base, change };

  [[nodiscard]] bool has_change() const { return change_ != changes_->end(); }
  void step_back() { change_ = change_ == changes_->begin() ? changes_->end() : std::prev(change_); }

  // The side or sides at the current key move on.
  void pass_forward() {
    const bool both = source_ == Source::change && base_->valid() && base_->key() == change_->first;
    if (source_ == Source::base || both) base_->next();
    if (source_ == Source::change) ++change_;
  }
  void pass_backward() {
    const bool both = source_ == Source::change && base_->valid() && base_->key() == change_->first;
    if (source_ == Source::base || both) base_->prev();
    if (source_ == Source::change) step_back();
  }

  void settle_forward() {
    while (choose(true)) {
      pass_forward();
    }
  }
  void settle_backward() {
    while (choose(false)) {
      pass_backward();
    }
  }

  // Picks the nearer side; true if what it picked is an erasure, to be passed over.
  bool choose(bool forward) {
    if (!has_change()) {
      source_ = base_->valid() ? Source::base : Source::none;
      return false;
    }
    const bool change_first =
        !base_->valid() || (forward ? change_->first <= base_->key() : change_->first >= base_->key());
    source_ = change_first ? Source::change : Source::base;
    return change_first && !change_->second;
  }

  std::unique_ptr<Cursor> base_;
  const Changes* changes_;
  typename Changes::const_iterator change_;
  Source source_ = Source::none;
  bool forward_ = true;
};

std::size_t slot(Table table) { return static_cast<std::size_t>(table); }

}  // namespace

void Transaction::put(Table table, std::string_view key, std::string value) {
  auto& changes = changes_.at(slot(table));
  auto it = changes.lower_bound(key);
  if (it != changes.end() && it->first == key) {
    it->second = std::move(value);
  } else {
    changes.emplace_hint(it, std::string(key), std::move(value));
  }
}

void Transaction::erase(Table table, std::string_view key) {
  auto& changes = changes_.at(slot(table));
  auto it = changes.lower_bound(key);
  if (it != changes.end() && it->first == key) {
    it->second.reset();
  } else {
    changes.emplace_hint(it, std::string(key), std::nullopt);
  }
}

bool Transaction::get(Table table, std::string_view key, std::string& value) const {
  const auto& changes = changes_.at(slot(table));
  const auto it = changes.find(key);
  if (it == changes.end()) return base_->get(table, key, value);
  if (it->second) value = *it->second;
  return it->second.has_value();
}

std::unique_ptr<Cursor> Transaction::cursor(Table table) const {
  auto base = base_->cursor(table);
  const auto& changes = changes_.at(slot(table));
  if (changes.empty()) return base;
  return std::make_unique<MergedCursor<Changes>>(std::move(base), changes);
}

Batch Transaction::take() {
  Batch batch;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const auto table = static_cast<Table>(i);
    while (!changes_[i].empty()) {
      auto node = changes_[i].extract(changes_[i].begin());
      if (node.mapped()) {
        batch.put(table, std::move(node.key()), std::move(*node.mapped()));
      } else {
        batch.erase(table, std::move(node.key()));
      }
    }
  }
  return batch;
}

bool Transaction::empty() const {
  for (const auto& changes : changes_) {
    if (!changes.empty()) return false;
  }
  return true;
}

}  // namespace quorate::storage
