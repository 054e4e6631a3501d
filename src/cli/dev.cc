#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/dev_plan.h"
#include "cli/dev_processes.h"
#include "cli/help.h"
#include "cli/server_verbs.h"
#include "cli/text.h"
#include "client/client.h"
#include "client/etcd.h"
#include "registry/registry.h"
#include "server/server.h"
#include "tls/context.h"
#include "tls/self_signed.h"

namespace quorate::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

volatile std::sig_atomic_t stop_requested = 0;

const char* const notes = R"(FILES, below the data directory
  cluster.json         the nodes: id, pid, client and peer address, data directory
  tls/cert.pem         with --tls: the nodes' certificate, which clients trust (etcdctl --cacert)
  n1/quorate.toml      what node 1 is started with: quorate serve --config data/n1/quorate.toml starts it alone
  n1/server.log        its log
  n1/log, n1/state     its write-ahead log and state

A second start finds the data again. Nodes that end are not restarted: kill one, watch the others go on, and start
it again by hand. Ctrl-C stops all of them; they also stop when this process is killed.

EXAMPLES
  quorate dev
  quorate dev --nodes 5 --data five --port 3379
  quorate dev --nodes 3 --protocol paxos --data with-paxos
  quorate dev --tls --data with-tls --port 4379)";

// Polls one node for its view of the cluster.
class Probe {
 public:
  Probe(std::uint16_t port, const std::shared_ptr<tls::Context>& tls) {
    client::Options options;
    options.endpoints = {client::parse_endpoint("127.0.0.1:" + std::to_string(port)).value()};
    options.endpoints.front().tls = tls;
    options.dial_timeout = milliseconds(200);
    options.command_timeout = milliseconds(400);
    client_ = std::make_unique<client::Client>(std::move(options));
  }
  [[nodiscard]] std::optional<etcdserverpb::StatusResponse> ask() {
    auto answer = client_->call(client::rpc::status, etcdserverpb::StatusRequest());
    return answer ? std::optional(std::move(*answer)) : std::nullopt;
  }

 private:
  std::unique_ptr<client::Client> client_;
};

struct Status {
  std::uint64_t leader = 0;
  std::uint64_t term = 0;
  std::int64_t revision = 0;
  std::uint64_t applied = 0;
  std::map<std::uint64_t, bool> up;

  [[nodiscard]] std::string line(bool colour) const {
    std::string nodes;
    for (const auto& [id, alive] : up) {
      const char* paint = !colour ? "" : alive ? "\033[32m" : "\033[31m";
      nodes += fmt::format(" {}n{} {}{}", paint, id, alive ? "up" : "down", colour ? "\033[0m" : "");
    }
    const std::string who = leader == 0 ? "no leader" : fmt::format("leader n{}", leader);
    return fmt::format("{} · term {} · revision {} · applied {} ·{}", who, term, revision, applied, nodes);
  }
  // What a plain log is told of: not every write.
  [[nodiscard]] bool same_shape(const Status& other) const {
    return leader == other.leader && up == other.up;
  }
};

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : 80;
}

// How this program is called from where the user stands, so that a line can be copied to another terminal.
std::string program_as_typed() {
  const std::filesystem::path invoked = program_invocation_name;
  if (!invoked.has_parent_path()) return invoked.string();  // found on PATH
  const auto relative = invoked.lexically_proximate(std::filesystem::current_path());
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below && relative.has_parent_path() ? relative.string() : invoked.string();
}

class Dev {
 public:
  explicit Dev(DevPlan plan) : plan_(std::move(plan)), terminal_(::isatty(STDOUT_FILENO) == 1) {}

  int run() {
    if (auto locked = lock(); !locked) return fail(locked.error());
    if (auto prepared = prepare_probes(); !prepared) return fail(prepared.error());
    if (auto started = start_all(); !started) return fail(started.error());
    if (auto ready = await_leader(); !ready) return fail(ready.error());
    if (stop_requested == 0) {
      introduce();
      watch();
    }
    finish();
    return 0;
  }

 private:
  int fail(const std::string& reason) {
    clear_line();
    std::fprintf(stderr, "quorate dev: %s\n", reason.c_str());
    processes_.stop();
    return 1;
  }

  std::expected<void, std::string> lock() {
    std::error_code error;
    std::filesystem::create_directories(plan_.directory, error);
    if (error) return std::unexpected(plan_.directory + ": " + error.message());
    const std::string file = plan_.directory + "/dev.lock";
    const int descriptor =
        ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);  // held until the process ends
    if (descriptor < 0) return std::unexpected(file + ": cannot be opened");
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      return std::unexpected("a cluster runs from " + plan_.directory +
                             " already; stop it, or use another --data");
    }
    return {};
  }

  std::expected<void, std::string> prepare_probes() {
    std::shared_ptr<tls::Context> tls;
    if (plan_.tls) {
      if (auto made = tls::self_signed(plan_.tls_directory(), {"127.0.0.1", "localhost"}); !made)
        return std::unexpected(made.error());
      tls::Settings settings;
      settings.ca = plan_.certificate();
      settings.alpn = {"h2"};
      auto context = tls::Context::open(tls::Side::client, std::move(settings));
      if (!context) return std::unexpected(context.error());
      tls = std::move(*context);
    }
    for (const auto& node : plan_.nodes) probes_.emplace_back(node.client, tls);
    return {};
  }

  std::expected<void, std::string> start_all() {
    for (auto& node : plan_.nodes) {
      std::error_code error;
      std::filesystem::create_directories(node.data, error);
      const std::string config = node.data + "/quorate.toml";
      {
        std::ofstream file(config, std::ios::trunc);
        file << node_configuration(plan_, node);
        if (!file.flush()) return std::unexpected(config + ": cannot be written");
      }
      auto pid = processes_.start(config, log_of(node));
      if (!pid) return std::unexpected(pid.error());
      node.pid = *pid;
    }
    return write_cluster_file(plan_);
  }

  std::expected<void, std::string> await_leader() {
    const auto limit = steady_clock::now() + std::chrono::seconds(120);  // a long log takes time to recover
    while (stop_requested == 0) {
      for (const auto& ended : processes_.reap()) {
        if (ended.status != server::exit_removed) return std::unexpected(obituary(ended));
        mourn(ended);  // the others go on without it
      }
      if (!processes_.any()) return std::unexpected("every node was removed from the cluster");
      const Status status = poll();
      const bool all = std::ranges::all_of(status.up, [](const auto& node) { return node.second; });
      if (all && status.leader != 0) return {};
      if (steady_clock::now() > limit)
        return std::unexpected("no leader after 120 s; see the logs in " + plan_.directory);
      show("starting: " + status.line(colour_));
      pause(milliseconds(100));
    }
    return {};
  }

  void introduce() {
    clear_line();
    const std::string endpoints = plan_.endpoints();
    const bool usual = plan_.nodes.front().client == 2379 && !plan_.tls;
    std::string where = usual ? "" : " --endpoints " + endpoints;
    if (plan_.tls) where += " --cacert " + plan_.certificate();
    fmt::print("{} nodes, {}{}, data in {}\n\n  endpoints  {}\n\n", plan_.nodes.size(), plan_.protocol,
               plan_.tls ? " over TLS" : "", plan_.directory, endpoints);
    fmt::print("try\n  {}{} put greeting hello\n  ETCDCTL_API=3 etcdctl{} get greeting\n\n",
               program_as_typed(), where, where);
    fmt::print("Ctrl-C stops the cluster\n");
    std::fflush(stdout);
  }

  void watch() {
    std::optional<Status> last;
    while (stop_requested == 0) {
      for (const auto& ended : processes_.reap()) mourn(ended);
      if (!processes_.any()) {
        fmt::print("all nodes have ended\n");
        return;
      }
      const Status status = poll();
      if (terminal_) {
        show(status.line(colour_));
      } else if (!last || !last->same_shape(status)) {
        fmt::print("{}\n", status.line(false));
        std::fflush(stdout);
      }
      last = status;
      pause(milliseconds(terminal_ ? 500 : 250));
    }
  }

  void finish() {
    clear_line();
    fmt::print("stopping ...\n");
    std::fflush(stdout);
    processes_.stop();
    fmt::print("stopped; the data stays in {}\n", plan_.directory);
  }

  Status poll() {
    Status status;
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      if (removed_.contains(plan_.nodes[i].id)) continue;
      const auto answer = stop_requested == 0 ? probes_[i].ask() : std::nullopt;
      status.up[plan_.nodes[i].id] = answer.has_value();
      if (!answer) continue;
      status.revision = std::max(status.revision, answer->header().revision());
      status.applied = std::max(status.applied, answer->raftappliedindex());
      if (answer->raftterm() < status.term) continue;
      status.term = answer->raftterm();
      if (answer->leader() != 0) status.leader = answer->leader();
    }
    return status;
  }

  void mourn(const DevProcesses::Ended& ended) {
    clear_line();
    fmt::print("{}\n", obituary(ended));
    std::fflush(stdout);
    const auto node = std::ranges::find(plan_.nodes, ended.pid, &DevNode::pid);
    if (ended.status == server::exit_removed && node != plan_.nodes.end()) removed_.insert(node->id);
  }

  std::string obituary(const DevProcesses::Ended& ended) {
    const auto node = std::ranges::find(plan_.nodes, ended.pid, &DevNode::pid);
    if (node == plan_.nodes.end()) return fmt::format("process {} ended ({})", ended.pid, ended.how);
    std::string text = fmt::format("n{} ended ({})", node->id, ended.how);
    if (const std::string last = last_line(log_of(*node)); ended.how.starts_with("exit") && !last.empty()) {
      text += "; the last line of its log:\n  " + last;
    }
    if (ended.status == server::exit_removed) return text;
    return text + fmt::format("\n  again: {} serve --config {}/quorate.toml", program_as_typed(), node->data);
  }
  static std::string last_line(const std::string& file) {
    std::ifstream in(file);
    std::string last;
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) last = line;
    }
    return last;
  }
  static std::string log_of(const DevNode& node) { return node.data + "/server.log"; }

  void show(const std::string& line) {
    if (!terminal_) return;
    fmt::print("\r\033[K{}", fitting(line, terminal_width()));
    std::fflush(stdout);
    shown_ = true;
  }
  void clear_line() {
    if (std::exchange(shown_, false)) fmt::print("\r\033[K");
  }
  static void pause(milliseconds time) {
    const auto end = steady_clock::now() + time;
    while (stop_requested == 0 && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(20));
  }

  DevPlan plan_;
  std::vector<Probe> probes_;
  DevProcesses processes_;
  std::set<std::uint64_t> removed_;
  bool terminal_;
  bool colour_ = terminal_ && std::getenv("NO_COLOR") == nullptr;
  bool shown_ = false;
};

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { stop_requested = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int dev(std::vector<std::string> args) {
  CLI::App app("Start a local cluster: every node a process of its own, on 127.0.0.1.", "quorate dev");
  app.footer(notes);
  app.formatter(std::make_shared<HelpPage>());
  DevOptions options;
  app.add_option("--nodes,-n", options.nodes, "how many (3)")->check(CLI::Range(1, 9))->type_name("N");
  app.add_option("--protocol", options.protocol, "the consensus protocol (raft); see quorate version")
      ->type_name("NAME");
  app.add_option("--data", options.directory, "where everything is kept (data)")->type_name("DIR");
  app.add_option(
         "--port", options.port,
         "the first client port, P (2379); the others follow at P+20000 and P+30000, or where a port is free")
      ->check(CLI::Range(1, 65535))
      ->type_name("P");
  app.add_flag("--tls", options.tls,
               "encrypt what clients and nodes say; clients trust DIR/tls/cert.pem, which is made for it");
  if (const auto ended = ended_by_words(app, std::move(args))) return *ended;
  if (!options.protocol.empty()) {
    if (auto known = registry::find(options.protocol); !known) {
      std::fprintf(stderr, "quorate dev: %s\n", known.error().c_str());
      return 2;
    }
  }
  while (options.directory.size() > 1 && options.directory.ends_with('/')) options.directory.pop_back();
  catch_signals();
  auto plan = make_plan(options);
  if (!plan) {
    std::fprintf(stderr, "quorate dev: %s\n", plan.error().c_str());
    return 2;
  }
  return Dev(std::move(*plan)).run();
}

}  // namespace quorate::cli
