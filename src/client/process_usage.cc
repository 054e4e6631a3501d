#include "client/process_usage.h"

#include <fstream>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace quorate::client {
namespace {

std::chrono::nanoseconds from(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

std::optional<Usage> usage_of(int pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::ifstream stat(directory + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return std::nullopt;
  // Fields 14 and 15, counted behind the name, which may hold anything but ends at the last parenthesis.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  fields >> user >> system;
  Usage usage;
  usage.cpu = std::chrono::nanoseconds((user + system) * (1000000000 / sysconf(_SC_CLK_TCK)));
  std::ifstream status(directory + "/status");
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) usage.peak_rss_bytes = std::stoull(line.substr(6)) * 1024;
  }
  return usage;
}

std::chrono::nanoseconds own_cpu() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return from(used.ru_utime) + from(used.ru_stime);
}

}  // namespace quorate::client
