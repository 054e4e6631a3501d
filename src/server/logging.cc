#include "server/logging.h"

#include <memory>
#include <string_view>
#include <utility>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace quorate::server {
namespace {

// %J: the message as a JSON string.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    static constexpr char hex[] = "0123456789abcdef";
    const auto put = [&](std::string_view text) { out.append(text.data(), text.data() + text.size()); };
    put("\"");
    for (const char c : std::string_view(message.payload.data(), message.payload.size())) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (byte < 0x20) {
        put("\\u00");
        out.push_back(hex[byte >> 4U]);
        out.push_back(hex[byte & 15U]);
      } else {
        out.push_back(c);
      }
    }
    put("\"");
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

}  // namespace

std::expected<void, std::string> set_up_logging(const std::string& level, LogFormat format,
                                                const std::vector<std::string>& outputs) {
  std::vector<spdlog::sink_ptr> sinks;
  for (const auto& output : outputs) {
    // journald takes what a service says on standard error.
    if (output == "stderr" || output == "default" || output == "systemd/journal") {
      sinks.push_back(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    } else if (output == "stdout") {
      sinks.push_back(std::make_shared<spdlog::sinks::stdout_color_sink_mt>());
    } else {
      try {
        sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(output));
      } catch (const spdlog::spdlog_ex& error) {
        return std::unexpected("the log can not be written to " + output + ": " + error.what());
      }
    }
  }
  if (sinks.empty()) sinks.push_back(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  auto logger = std::make_shared<spdlog::logger>("", sinks.begin(), sinks.end());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('J');
  formatter->set_pattern(format == LogFormat::json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l","message":%J})"
                             : "%Y-%m-%d %H:%M:%S.%e %^%-8l%$ %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level == "error" ? "err" : level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

}  // namespace quorate::server
