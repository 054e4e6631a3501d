// Sequence diagrams in documents, drawn from scenarios:
//
//   <!-- diagram: tests/scenarios/raft_election.txt -->
//   ```mermaid
//   ...
//   ```
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

namespace quorate::sim {

// The document with each such block as its scenario, a path below `root`, draws it today. An error names the
// scenario that can not be read or played, or whose block is missing.
[[nodiscard]] std::expected<std::string, std::string> illustrate(std::string_view markdown,
                                                                 const std::filesystem::path& root);

}  // namespace quorate::sim
