// The newest changes of a state, in memory: one row per changed key of a table, erasures included. One thread
// writes and reads it until it is frozen; from then on any thread reads it.
//
// A put costs one hash lookup and one small allocation: order is made only for tables that somebody walks,
// and for those it is kept. (The memtable of a log-structured merge tree, O'Neil et al. 1996, with the order
// left for later.)
#pragma once

#include <array>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include <boost/container/deque.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "core/bytes.h"
#include "storage/engine.h"

namespace quorate::storage {

class Memtable {
 public:
  struct Row : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>,
                                               boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    std::string_view key;  // in the memtable's own memory
    Bytes value;
    bool erased = false;
  };
  struct ByKey {
    bool operator()(const Row& a, const Row& b) const { return a.key < b.key; }
    bool operator()(const Row& a, std::string_view b) const { return a.key < b; }
    bool operator()(std::string_view a, const Row& b) const { return a < b.key; }
  };
  using Ordered = boost::intrusive::set<Row, boost::intrusive::compare<ByKey>>;

  Memtable() = default;
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  void put(Table table, std::string_view key, Bytes value);
  void erase(Table table, std::string_view key);
  void add(const Memtable& newer);  // its changes on top of these
  void freeze() { frozen_ = true; }
  void walk_what(const Memtable& older);  // before the first row: what was walked there will be walked here
  // Gives up to `rows` rows back; false when there is none left. For a memtable nobody reads any more: to
  // drop a large one in one piece would take long.
  bool dismantle(std::size_t rows);

  [[nodiscard]] const Row* find(Table table, std::string_view key) const;  // null: no change of this key
  [[nodiscard]] const Ordered& ordered(Table table) const;
  void append_rows(Table table, std::vector<const Row*>& out) const;                 // in no order
  [[nodiscard]] bool ascending(Table table) const { return part(table).ascending; }  // rows came in key order
  [[nodiscard]] bool empty(Table table) const { return part(table).rows.empty(); }
  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of memory, an estimate

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const;
    std::size_t operator()(const Row* row) const { return (*this)(row->key); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Row* a, const Row* b) const { return a->key == b->key; }
    bool operator()(std::string_view a, const Row* b) const { return a == b->key; }
    bool operator()(const Row* a, std::string_view b) const { return a->key == b; }
  };
  struct Part {                         // the rows of one table
    boost::container::deque<Row> rows;  // std::deque takes memory even while it is empty
    bool ascending = true;  // so far every new key was beyond the last: found by bisection, needs no index
    boost::unordered_flat_set<Row*, Hash, Equal> index;
    mutable Ordered ordered;
    mutable std::size_t linked = 0;  // how many rows `ordered` has; all of them once the table is walked
    mutable bool walked = false;
  };

  [[nodiscard]] const Part& part(Table table) const { return parts_[static_cast<std::size_t>(table)]; }
  [[nodiscard]] static Row* locate(const Part& part, std::string_view key);
  Row& row(Table table, std::string_view key);
  static void link(const Part& part);

  std::pmr::monotonic_buffer_resource keys_;
  std::array<Part, table_count> parts_;
  std::size_t bytes_ = 0;
  bool frozen_ = false;
  mutable std::mutex linking_;  // of a frozen memtable: its readers may be on several threads
};

// The rows of `table` in several memtables, oldest first, as one: in key order, the newest of each key.
[[nodiscard]] std::vector<const Memtable::Row*> newest_rows(
    std::span<const std::shared_ptr<const Memtable>> memtables, Table table);

}  // namespace quorate::storage
