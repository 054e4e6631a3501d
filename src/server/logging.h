// The log: lines for people (coloured on a terminal only), or one JSON object a line.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace quorate::server {

enum class LogFormat { text, json };

// `level`: debug, info, warn or error. `outputs`: "stderr", "stdout" or names of files, which are appended
// to; none: standard error. The error names the file.
[[nodiscard]] std::expected<void, std::string> set_up_logging(const std::string& level, LogFormat format,
                                                              const std::vector<std::string>& outputs = {});

}  // namespace quorate::server
