// What stands in a node's directories, looked at before anything there is opened. A path that does not exist
// holds nothing; one that can not be looked at is an error, for it may hold something.
#pragma once

#include <expected>
#include <string>

namespace quorate::runtime {

// Whether a log was begun in this directory.
[[nodiscard]] std::expected<bool, std::string> holds_log(const std::string& path);

// Whether a keyspace's state was begun below this directory, which may be a file system of its own.
[[nodiscard]] std::expected<bool, std::string> holds_states(const std::string& path);

}  // namespace quorate::runtime
