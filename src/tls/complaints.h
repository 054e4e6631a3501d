// Whoever is turned away comes again at once: what is told of the same host for the same reason is told once
// a minute.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace quorate::tls {

class Complaints {
 public:
  // `remote` is "host:port"; the port changes with every attempt.
  [[nodiscard]] bool fresh(std::string_view remote, const std::string& why) {
    const auto now = std::chrono::steady_clock::now();
    if (told_.size() > most_remembered) told_.clear();
    const auto [seen, is_new] =
        told_.try_emplace(std::string(remote.substr(0, remote.rfind(':'))) + why, now);
    if (!is_new && now - seen->second < std::chrono::minutes(1)) return false;
    seen->second = now;
    return true;
  }

 private:
  static constexpr std::size_t most_remembered = 256;
  std::map<std::string, std::chrono::steady_clock::time_point> told_;
};

}  // namespace quorate::tls
