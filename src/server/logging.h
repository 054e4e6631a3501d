// The log on standard error: lines for people (coloured on a terminal only), or one JSON object a line.
#pragma once

#include <string>

namespace quorate::server {

enum class LogFormat { text, json };

// `level`: debug, info, warn or error.
void set_up_logging(const std::string& level, LogFormat format);

}  // namespace quorate::server
