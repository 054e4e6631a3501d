#include "tool/diverge.h"

#include <cstdio>

#include "models/etcd/tables.h"
#include "storage/rocks_engine.h"

namespace quorate::faults {

int diverge(const std::string& directory, const std::string& key) {
  storage::RocksHome home(directory);
  auto state = home.open_live();
  std::string row;
  if (!state || !(*state)->get(models::etcd::table::current, key, row)) {
    std::fprintf(stderr, "%s\n", state ? "there is no such key" : state.error().what.c_str());
    return 1;
  }
  constexpr std::size_t sub_bytes = 4;  // behind the record, of which the value comes last
  char& last = row.at(row.size() - sub_bytes - 1);
  last = static_cast<char>(last ^ 1);
  (*state)->put(models::etcd::table::current, key, Bytes::copy(row));
  auto flushed = (*state)->flush();
  if (!flushed) std::fprintf(stderr, "%s\n", flushed.error().what.c_str());
  return flushed ? 0 : 1;
}

}  // namespace quorate::faults
