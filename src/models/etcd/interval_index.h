// Which ranges contain a key: a treap of intervals, each node knowing the greatest end below it (Cormen et
// al., Introduction to Algorithms, 14.3). Finding k of n costs O(k + log n) for ranges that nest or are
// disjoint, as prefixes do. Values under the same range share a node. Priorities come from a counter, so the
// shape is the same in every run.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quorate::models::etcd {

// The end of a range; an unbounded one is behind every key.
struct RangeEnd {
  bool unbounded = false;
  std::string key;
  friend auto operator<=>(const RangeEnd&, const RangeEnd&) = default;
  [[nodiscard]] bool behind(std::string_view other) const { return unbounded || other < key; }
};

template <class T>
class IntervalIndex {
 public:
  void insert(const std::string& begin, const RangeEnd& end, T value) {
    insert(root_, begin, end, std::move(value));
  }
  void erase(const std::string& begin, const RangeEnd& end, const T& value) {
    erase(root_, begin, end, value);
  }

  template <class F>
  void for_each_containing(std::string_view key, F&& f) const {
    visit(root_.get(), key, f);
  }
  [[nodiscard]] bool empty() const { return !root_; }

 private:
  struct Node {
    std::string begin;
    RangeEnd end;
    RangeEnd max_end;
    std::uint64_t priority;
    std::vector<T> values;
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
  };
  using Link = std::unique_ptr<Node>;

  static void update(Node& node) {
    node.max_end = node.end;
    for (const auto* child : {node.left.get(), node.right.get()}) {
      if (child != nullptr && node.max_end < child->max_end) node.max_end = child->max_end;
    }
  }
  static void rotate_right(Link& link) {
    Link left = std::move(link->left);
    link->left = std::move(left->right);
    update(*link);
    left->right = std::move(link);
    link = std::move(left);
    update(*link);
  }
  static void rotate_left(Link& link) {
    Link right = std::move(link->right);
    link->right = std::move(right->left);
    update(*link);
    right->left = std::move(link);
    link = std::move(right);
    update(*link);
  }
  static std::strong_ordering order(const std::string& begin, const RangeEnd& end, const Node& node) {
    const auto first = begin <=> node.begin;
    return first != 0 ? first : end <=> node.end;
  }

  void insert(Link& link, const std::string& begin, const RangeEnd& end, T value) {
    if (!link) {
      link = std::make_unique<Node>(Node{begin, end, end, next_priority(), {}, nullptr, nullptr});
      link->values.push_back(std::move(value));
      return;
    }
    const auto side = order(begin, end, *link);
    if (side == 0) {
      link->values.push_back(std::move(value));
    } else if (side < 0) {
      insert(link->left, begin, end, std::move(value));
      update(*link);
      if (link->left->priority > link->priority) rotate_right(link);
    } else {
      insert(link->right, begin, end, std::move(value));
      update(*link);
      if (link->right->priority > link->priority) rotate_left(link);
    }
  }

  void erase(Link& link, const std::string& begin, const RangeEnd& end, const T& value) {
    if (!link) return;
    const auto side = order(begin, end, *link);
    if (side != 0) {
      erase(side < 0 ? link->left : link->right, begin, end, value);
      update(*link);
      return;
    }
    auto& values = link->values;
    values.erase(std::remove(values.begin(), values.end(), value), values.end());
    if (values.empty()) remove(link);
  }

  // Sinks the node until it has at most one child, which takes its place.
  void remove(Link& link) {
    if (!link->left || !link->right) {
      link = std::move(link->left ? link->left : link->right);
      return;
    }
    if (link->left->priority > link->right->priority) {
      rotate_right(link);
      remove(link->right);
    } else {
      rotate_left(link);
      remove(link->left);
    }
    update(*link);
  }

  template <class F>
  static void visit(const Node* node, std::string_view key, F& f) {
    if (node == nullptr || !node->max_end.behind(key)) return;
    visit(node->left.get(), key, f);
    if (key < node->begin) return;
    if (node->end.behind(key)) {
      for (const auto& value : node->values) f(value);
    }
    visit(node->right.get(), key, f);
  }

  std::uint64_t next_priority() {  // splitmix64
    std::uint64_t z = (counter_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  Link root_;
  std::uint64_t counter_ = 0;
};

}  // namespace quorate::models::etcd
