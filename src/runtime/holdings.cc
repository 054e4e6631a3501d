#include "runtime/holdings.h"

#include <filesystem>
#include <system_error>

#include "storage/wal_format.h"

namespace quorate::runtime {
namespace {

namespace fs = std::filesystem;
using Holds = std::expected<bool, std::string>;

// Whether any entry is wanted, as `wanted` says of each.
template <class Wanted>
Holds any_in(const fs::path& path, Wanted&& wanted) {
  std::error_code error;
  fs::directory_iterator found(path, error);
  for (const fs::directory_iterator end; !error && found != end; found.increment(error)) {
    if (found->path().filename() == "lost+found") continue;  // the file system's own
    if (Holds holds = wanted(found->path()); !holds || *holds) return holds;
  }
  if (!error || error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory)
    return false;
  return std::unexpected(path.string() + ": " + error.message());
}

}  // namespace

Holds holds_log(const std::string& path) {
  return any_in(path, [](const fs::path& name) -> Holds {
    return storage::wal::parse_segment_name(name.filename().string()).has_value();
  });
}

Holds holds_states(const std::string& path) {
  const auto is_state = [](const fs::path& name) -> Holds {
    return name.filename().string().starts_with("live-");
  };
  return any_in(path, [&](const fs::path& keyspace) { return any_in(keyspace, is_state); });
}

}  // namespace quorate::runtime
