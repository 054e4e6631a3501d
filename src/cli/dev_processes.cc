#include "cli/dev_processes.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace quorate::cli {
namespace {

constexpr auto patience = std::chrono::seconds(5);

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become_server(const char* program, char* const* arguments, int log, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // the parent was gone before the request took effect
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(program, arguments);
  ::_exit(127);
}

}  // namespace

std::expected<int, std::string> DevProcesses::start(const std::string& config, const std::string& log) {
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return std::unexpected(log + ": " + std::strerror(errno));
  std::string words[] = {"quorate", "serve", "--config", config};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become_server("/proc/self/exe", arguments, file, parent);
  ::close(file);
  if (pid < 0) return std::unexpected(std::string("cannot start a process: ") + std::strerror(errno));
  running_.push_back(pid);
  return pid;
}

std::vector<DevProcesses::Ended> DevProcesses::reap() {
  std::vector<Ended> ended;
  std::erase_if(running_, [&](int pid) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) return false;
    ended.push_back({pid,
                     WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                         : "exit status " + std::to_string(WEXITSTATUS(status)),
                     WIFSIGNALED(status) ? -1 : WEXITSTATUS(status)});
    return true;
  });
  return ended;
}

void DevProcesses::stop() {
  for (const int pid : running_) {
    ::kill(pid, SIGTERM);
    ::kill(pid, SIGCONT);  // a stopped process could not end
  }
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (any() && std::chrono::steady_clock::now() < limit) {
    if (reap().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (const int pid : running_) ::kill(pid, SIGKILL);
  while (any()) {
    if (reap().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace quorate::cli
