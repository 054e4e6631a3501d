// The flags of get, put and del, shared by the verbs and by the operations inside a transaction.
#pragma once

#include <cstdint>
#include <string>

#include "api/proto/rpc.pb.h"
#include "cli/command.h"

namespace quorate::cli {

namespace pb = ::etcdserverpb;

struct KeyOptions {
  std::string key;
  std::string range_end;
  CLI::Option* range_end_given = nullptr;
  bool prefix = false;
  bool from_key = false;

  void define(CLI::App& app);
  // Fills key and range_end of a request. Throws Failure when the flags contradict each other.
  void resolve(std::string* key_out, std::string* range_end_out) const;
};

struct GetOptions {
  KeyOptions keys;
  std::int64_t rev = 0;
  std::int64_t limit = 0;
  std::string order;
  std::string sort_by;
  std::string consistency = "l";
  bool keys_only = false;
  bool print_value_only = false;
  bool count_only = false;
  std::int64_t min_mod_rev = 0, max_mod_rev = 0, min_create_rev = 0, max_create_rev = 0;

  void define(CLI::App& app);
  [[nodiscard]] pb::RangeRequest request() const;
};

struct PutOptions {
  std::string key;
  std::string value;
  CLI::Option* value_given = nullptr;
  std::string lease = "0";
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;

  void define(CLI::App& app);
  // `read_value` supplies the value when none is on the command line.
  [[nodiscard]] pb::PutRequest request(const std::function<std::string()>& read_value) const;
};

struct DelOptions {
  KeyOptions keys;
  bool prev_kv = false;

  void define(CLI::App& app);
  [[nodiscard]] pb::DeleteRangeRequest request() const;
};

}  // namespace quorate::cli
