// The child processes of a local cluster: started in their own process groups (Ctrl-C is the parent's), ended
// with the parent whatever happens to it, stopped by pid.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "cli/dev_plan.h"

namespace quorate::cli {

class DevProcesses {
 public:
  DevProcesses() = default;
  ~DevProcesses() { stop(); }
  DevProcesses(const DevProcesses&) = delete;
  DevProcesses& operator=(const DevProcesses&) = delete;

  // `quorate serve --config FILE`; output goes to the end of `log`. The pid.
  [[nodiscard]] std::expected<int, std::string> start(const std::string& config, const std::string& log);

  struct Ended {
    int pid;
    std::string how;  // "exit status 1", "signal 9"
    int status;       // -1 if a signal ended it
  };
  [[nodiscard]] std::vector<Ended> reap();  // those that ended since the last call
  [[nodiscard]] bool any() const { return !running_.empty(); }
  void stop();  // SIGTERM to all, SIGKILL to those that take longer than some seconds

 private:
  std::vector<int> running_;
};

}  // namespace quorate::cli
