#include "storage/merging_cursor.h"

#include <string>
#include <utility>

namespace quorate::storage {
namespace {

// One memtable's rows of a table.
class Walk {
 public:
  explicit Walk(const Memtable::Ordered& rows) : rows_(&rows), at_(rows.end()) {}

  void seek(std::string_view key) { at_ = rows_->lower_bound(key, Memtable::ByKey()); }
  void seek_last(std::string_view key) {
    at_ = rows_->upper_bound(key, Memtable::ByKey());
    prev();
  }
  void next() { ++at_; }
  void prev() { at_ = at_ == rows_->begin() ? rows_->end() : std::prev(at_); }
  [[nodiscard]] bool valid() const { return at_ != rows_->end(); }
  [[nodiscard]] std::string_view key() const { return at_->key; }
  [[nodiscard]] const Memtable::Row& row() const { return *at_; }

 private:
  const Memtable::Ordered* rows_;
  Memtable::Ordered::const_iterator at_;
};

// All layers stand at or behind the current key in the direction of travel; turning round places them anew.
class MergingCursor final : public Cursor {
 public:
  MergingCursor(std::vector<Walk> layers, std::unique_ptr<Cursor> base, std::shared_ptr<const void> keep)
      : keep_(std::move(keep)), layers_(std::move(layers)), base_(std::move(base)) {}

  void seek(std::string_view key) override {
    forward_ = true;
    for (auto& layer : layers_) layer.seek(key);
    base_->seek(key);
    settle();
  }
  void seek_last(std::string_view key) override {
    forward_ = false;
    for (auto& layer : layers_) layer.seek_last(key);
    base_->seek_last(key);
    settle();
  }
  void next() override { travel(true); }
  void prev() override { travel(false); }

  [[nodiscard]] bool valid() const override { return chosen_ != none; }
  [[nodiscard]] std::string_view key() const override { return key_of(chosen_); }
  [[nodiscard]] std::string_view value() const override {
    return chosen_ < layers_.size() ? layers_[chosen_].row().value.view() : base_->value();
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  [[nodiscard]] bool stands(std::size_t i) const {
    return i < layers_.size() ? layers_[i].valid() : base_->valid();
  }
  [[nodiscard]] std::string_view key_of(std::size_t i) const {
    return i < layers_.size() ? layers_[i].key() : base_->key();
  }
  void step(std::size_t i) {
    if (i < layers_.size()) {
      forward_ ? layers_[i].next() : layers_[i].prev();
    } else {
      forward_ ? base_->next() : base_->prev();
    }
  }

  void travel(bool forward) {
    if (forward_ != forward) {
      const std::string at(key());
      forward ? seek(at) : seek_last(at);
    }
    pass();
    settle();
  }

  // Every layer that stands at the current key moves on; the chosen one last, its key is compared with.
  void pass() {
    const std::string_view at = key();
    for (std::size_t i = chosen_ + 1; i <= layers_.size(); ++i) {
      if (stands(i) && key_of(i) == at) step(i);
    }
    step(chosen_);
  }

  void settle() {
    for (choose(); chosen_ < layers_.size() && layers_[chosen_].row().erased; choose()) pass();
  }

  // The nearest key, and of equal ones the newest layer's.
  void choose() {
    chosen_ = none;
    for (std::size_t i = 0; i <= layers_.size(); ++i) {
      if (!stands(i)) continue;
      if (chosen_ == none || (forward_ ? key_of(i) < key_of(chosen_) : key_of(i) > key_of(chosen_)))
        chosen_ = i;
    }
  }

  std::shared_ptr<const void> keep_;  // goes last
  std::vector<Walk> layers_;          // newest first; the base comes after them
  std::unique_ptr<Cursor> base_;
  std::size_t chosen_ = none;
  bool forward_ = true;
};

}  // namespace

std::unique_ptr<Cursor> merging_cursor(std::span<const Memtable* const> memtables, const Reader& base,
                                       Table table, std::shared_ptr<const void> keep) {
  std::vector<Walk> layers;
  for (const Memtable* memtable : memtables) {
    if (!memtable->empty(table)) layers.emplace_back(memtable->ordered(table));
  }
  auto below = base.cursor(table);
  if (layers.empty() && !keep) return below;
  return std::make_unique<MergingCursor>(std::move(layers), std::move(below), std::move(keep));
}

}  // namespace quorate::storage
