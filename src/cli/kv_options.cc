#include "cli/kv_options.h"

#include <map>

#include "cli/text.h"

namespace quorate::cli {
namespace {

using SortOrder = pb::RangeRequest::SortOrder;
using SortTarget = pb::RangeRequest::SortTarget;

template <class Value>
Value choose(const std::map<std::string, Value>& choices, std::string given, const std::string& flag,
             const std::string& expected) {
  for (char& c : given) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const auto found = choices.find(given);
  if (found == choices.end()) {
    throw Failure{kBadFeature, "bad --" + flag + " \"" + given + "\": expecting " + expected};
  }
  return found->second;
}

}  // namespace

void KeyOptions::define(CLI::App& app) {
  app.add_option("key", key, "the key, or the first of a range")->required();
  range_end_given = app.add_option("range_end", range_end, "end of the range; this key is not part of it");
  app.add_flag("--prefix", prefix, "all keys that begin with the key");
  app.add_flag("--from-key", from_key, "all keys from the key on, in byte order");
}

void KeyOptions::resolve(std::string* key_out, std::string* range_end_out) const {
  if (prefix && from_key) {
    throw Failure{kBadArguments, "`--prefix` and `--from-key` cannot be set at the same time, choose one"};
  }
  if ((prefix || from_key) && range_end_given->count() > 0) {
    throw Failure{kBadArguments,
                  "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"};
  }
  *key_out = key;
  if (range_end_given->count() > 0) *range_end_out = range_end;
  if (prefix) *range_end_out = prefix_end(key);
  if (from_key) range_end_out->assign(1, '\0');
  if ((prefix || from_key) && key.empty()) key_out->assign(1, '\0');
}

void GetOptions::define(CLI::App& app) {
  keys.define(app);
  app.add_option("--rev", rev, "as of this revision")->type_name("REVISION");
  app.add_option("--limit", limit, "at most so many keys; 0: all")->type_name("N");
  app.add_option("--order", order, "ASCEND or DESCEND")->type_name("ORDER");
  app.add_option("--sort-by", sort_by, "CREATE, KEY, MODIFY, VALUE or VERSION")->type_name("FIELD");
  app.add_option("--consistency", consistency,
                 "l: linearizable; s: serializable, what this node has, perhaps stale")
      ->capture_default_str()
      ->type_name("l|s");
  app.add_flag("--keys-only", keys_only, "no values");
  app.add_flag("--print-value-only", print_value_only, "no keys (simple format)");
  app.add_flag("--count-only", count_only, "only the number of keys");
  app.add_option("--min-mod-rev", min_mod_rev, "leave out keys last changed before this revision")
      ->type_name("REVISION");
  app.add_option("--max-mod-rev", max_mod_rev, "leave out keys last changed after this revision")
      ->type_name("REVISION");
  app.add_option("--min-create-rev", min_create_rev, "leave out keys created before this revision")
      ->type_name("REVISION");
  app.add_option("--max-create-rev", max_create_rev, "leave out keys created after this revision")
      ->type_name("REVISION");
}

pb::RangeRequest GetOptions::request() const {
  static const std::map<std::string, SortOrder> orders = {{"", pb::RangeRequest::NONE},
                                                          {"ASCEND", pb::RangeRequest::ASCEND},
                                                          {"DESCEND", pb::RangeRequest::DESCEND}};
  static const std::map<std::string, SortTarget> targets = {
      {"", pb::RangeRequest::KEY},        {"CREATE", pb::RangeRequest::CREATE},
      {"KEY", pb::RangeRequest::KEY},     {"MODIFY", pb::RangeRequest::MOD},
      {"VALUE", pb::RangeRequest::VALUE}, {"VERSION", pb::RangeRequest::VERSION}};
  if (keys_only && count_only) {
    throw Failure{kBadArguments,
                  "`--keys-only` and `--count-only` cannot be set at the same time, choose one"};
  }
  pb::RangeRequest request;
  keys.resolve(request.mutable_key(), request.mutable_range_end());
  request.set_serializable(choose<bool>({{"L", false}, {"S", true}}, consistency, "consistency", "l or s"));
  request.set_sort_order(choose(orders, order, "order", "ASCEND or DESCEND"));
  request.set_sort_target(choose(targets, sort_by, "sort-by", "CREATE, KEY, MODIFY, VALUE or VERSION"));
  // Keys come in ascending order by themselves: asking for it would only cost a sort.
  if (request.sort_target() == pb::RangeRequest::KEY && request.sort_order() == pb::RangeRequest::ASCEND) {
    request.set_sort_order(pb::RangeRequest::NONE);
  }
  request.set_revision(rev);
  request.set_limit(limit);
  request.set_keys_only(keys_only);
  request.set_count_only(count_only);
  request.set_min_mod_revision(min_mod_rev);
  request.set_max_mod_revision(max_mod_rev);
  request.set_min_create_revision(min_create_rev);
  request.set_max_create_revision(max_create_rev);
  return request;
}

void PutOptions::define(CLI::App& app) {
  app.add_option("key", key, "the key")->required();
  value_given = app.add_option("value", value, "the value; without it, standard input is read to its end");
  app.add_option("--lease", lease, "lease ID (hexadecimal) the key lives with")->type_name("ID");
  app.add_flag("--prev-kv", prev_kv, "show what was there before");
  app.add_flag("--ignore-value", ignore_value, "keep the value there is");
  app.add_flag("--ignore-lease", ignore_lease, "keep the lease there is");
}

pb::PutRequest PutOptions::request(const std::function<std::string()>& read_value) const {
  if (ignore_value && value_given->count() > 0) {
    throw Failure{kBadArguments, "put with --ignore-value takes no value"};
  }
  pb::PutRequest request;
  request.set_key(key);
  if (!ignore_value) request.set_value(value_given->count() > 0 ? value : read_value());
  request.set_lease(parse_lease(lease));
  request.set_prev_kv(prev_kv);
  request.set_ignore_value(ignore_value);
  request.set_ignore_lease(ignore_lease);
  return request;
}

void DelOptions::define(CLI::App& app) {
  keys.define(app);
  app.add_flag("--prev-kv", prev_kv, "show what was deleted");
}

pb::DeleteRangeRequest DelOptions::request() const {
  pb::DeleteRangeRequest request;
  keys.resolve(request.mutable_key(), request.mutable_range_end());
  request.set_prev_kv(prev_kv);
  return request;
}

}  // namespace quorate::cli
