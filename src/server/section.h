// A table of a TOML file that remembers which keys were asked for: what is left over is unknown. Every
// complaint names file, line and key, and what is allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "core/time.h"
#include "net/address.h"

namespace quorate::server {

struct Wrong {  // thrown by Section; never leaves parse_config
  std::string words;
};

class Section {
 public:
  Section(std::string file, std::string name, const toml::table& table)
      : file_(std::move(file)), name_(std::move(name)), table_(&table) {}

  [[noreturn]] void fail(const toml::node& at, const std::string& key, const std::string& why) const;
  [[noreturn]] void missing(const std::string& key, const std::string& what) const;

  const toml::node* find(const std::string& key);
  std::string text(const std::string& key, const std::string& fallback);
  std::string choice(const std::string& key, const std::string& fallback,
                     const std::vector<std::string>& allowed);
  bool flag(const std::string& key, bool fallback);
  std::uint64_t number(const std::string& key, std::uint64_t fallback, std::uint64_t low, std::uint64_t high);
  Duration duration(const std::string& key, Duration fallback, Duration low, Duration high);
  std::uint64_t bytes(const std::string& key, std::uint64_t fallback, std::uint64_t low,
                      std::uint64_t high = UINT64_MAX);
  std::uint64_t quota(const std::string& key);             // bytes; none where nothing is said
  std::vector<std::string> texts(const std::string& key);  // a string, or an array of them
  // The same, of addresses; those without a scheme are https if `tls`.
  std::vector<net::Address> addresses(const std::string& key, bool tls);
  std::optional<Section> table(const std::string& key);  // [this.key], if it is there
  template <class Use>
  void for_each_text(const std::string& key, Use&& use) {
    const auto* node = find(key);
    if (!node) return;
    if (node->is_string()) return use(*node, **node->as_string());
    const auto* array = node->as_array();
    if (!array) fail(*node, key, "must be a string or an array of strings");
    for (const auto& element : *array) use(element, string_of(element, key));
  }
  void finish() const;  // complains of unknown keys
  [[nodiscard]] const toml::table& raw() const { return *table_; }

 private:
  [[nodiscard]] std::string path(const std::string& key) const {
    return name_.empty() ? key : name_ + "." + key;
  }
  std::string string_of(const toml::node& node, const std::string& key) const;

  std::string file_;
  std::string name_;
  const toml::table* table_;
  std::vector<std::string> known_;
};

}  // namespace quorate::server
