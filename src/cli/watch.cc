#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/kv_options.h"
#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

using WatchStream = client::Stream<pb::WatchRequest, pb::WatchResponse>;

struct WatchOptions {
  KeyOptions keys;
  std::int64_t rev = 0;
  bool prev_kv = false;
  bool progress_notify = false;
  bool no_put = false;
  bool no_delete = false;

  void define(CLI::App& app, bool key_required) {
    keys.define(app);
    if (!key_required) app.get_option("key")->required(false);
    app.add_option("--rev", rev, "from this revision on; 0: from now on");
    app.add_flag("--prev-kv", prev_kv, "show what was there before");
    app.add_flag("--progress-notify", progress_notify,
                 "tell now and then how far the watch is, when nothing happens");
    app.add_flag("--no-put", no_put, "only deletions");
    app.add_flag("--no-delete", no_delete, "only puts");
  }

  [[nodiscard]] pb::WatchCreateRequest request() const {
    pb::WatchCreateRequest request;
    keys.resolve(request.mutable_key(), request.mutable_range_end());
    request.set_start_revision(rev);
    request.set_prev_kv(prev_kv);
    request.set_progress_notify(progress_notify);
    if (no_put) request.add_filters(pb::WatchCreateRequest::NOPUT);
    if (no_delete) request.add_filters(pb::WatchCreateRequest::NODELETE);
    return request;
  }
};

int run_command(const std::vector<std::string>& words,
                const std::vector<std::pair<std::string, std::string>>& environment) {
  flush();
  const pid_t child = fork();
  if (child < 0) throw Failure{kError, "cannot start a process"};
  if (child == 0) {
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    std::fprintf(stderr, "Error: cannot execute %s\n", argv[0]);
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The watches of one command, kept alive over lost connections: each knows the revision it has seen.
class Watcher {
 public:
  Watcher(Command& command, std::vector<std::string> execute)
      : command_(command), execute_(std::move(execute)), client_(command.connect()) {}

  void add(const pb::WatchCreateRequest& request) {
    const auto id = static_cast<std::int64_t>(watches_.size()) + 1;
    watches_[id] = request;
    watches_[id].set_watch_id(id);
    if (stream_) create(id);
  }

  void ask_progress() {
    pb::WatchRequest request;
    request.mutable_progress_request();
    if (stream_) stream_->send(request);
  }

  client::Loop& loop() { return client_->loop(); }

  // Until the server cancels a watch. `interrupted`: something else wants the thread (a line was typed).
  int run(const std::function<bool()>& interrupted, const std::function<void()>& attend) {
    for (;;) {
      if (!stream_) open();
      client_->loop().run_until([&] { return stream_->ready() || interrupted(); });
      if (interrupted()) {
        attend();
        continue;
      }
      auto response = stream_->read();
      if (response) {
        handle(*response);
        flush();
        continue;
      }
      lost(response.error());
    }
  }

 private:
  // The first time, failing is an answer; later, somebody is waiting for the cluster to come back.
  void open() {
    for (;;) {
      auto stream = client_->open(client::rpc::watch);
      if (stream) {
        stream_.emplace(std::move(*stream));
        break;
      }
      if (!opened_) throw Failure{kError, stream.error().message};
      pause();
    }
    opened_ = true;
    for (const auto& [id, request] : watches_) create(id);
  }

  void pause() {
    client_->loop().run_until([] { return false; }, client::Clock::now() + std::chrono::milliseconds(200));
  }

  void create(std::int64_t id) {
    pb::WatchRequest request;
    *request.mutable_create_request() = watches_[id];
    stream_->send(request);
  }

  void lost(const client::Status& status) {
    if (!status.ok() && status.code != client::Code::unavailable) throw Failure{kError, status.message};
    stream_.reset();
    client_->next_endpoint();
    pause();  // a server that refuses streams at once must not be asked in a tight loop
  }

  void handle(const pb::WatchResponse& response) {
    if (response.created() && !response.canceled()) {
      // From here on a reconnect must not skip what happens meanwhile.
      auto& watch = watches_[response.watch_id()];
      if (watch.start_revision() == 0) watch.set_start_revision(response.header().revision() + 1);
      return;
    }
    if (response.canceled()) return cancelled(response);
    if (response.events_size() == 0) {
      print(fmt::format("progress notify: {}\n", response.header().revision()));
      return;
    }
    watches_[response.watch_id()].set_start_revision(
        response.events(response.events_size() - 1).kv().mod_revision() + 1);
    print(show(response, {command_.format(), command_.hex()}));
    if (!execute_.empty()) execute(response);
  }

  void cancelled(const pb::WatchResponse& response) {
    const std::string reason = response.compact_revision() != 0
                                   ? "etcdserver: mvcc: required revision has been compacted"
                                   : response.cancel_reason();
    flush();
    std::fprintf(stderr, "watch was canceled (%s)\n", reason.c_str());
    print(show(response, {command_.format(), command_.hex()}));
    throw Failure{kInterrupted, "watch is canceled by the server"};
  }

  void execute(const pb::WatchResponse& response) {
    for (const auto& event : response.events()) {
      const bool is_delete = event.type() == mvccpb::Event::DELETE;
      const int code =
          run_command(execute_, {{"ETCD_WATCH_REVISION", std::to_string(response.header().revision())},
                                 {"ETCD_WATCH_EVENT_TYPE", quote(is_delete ? "DELETE" : "PUT")},
                                 {"ETCD_WATCH_KEY", quote(event.kv().key())},
                                 {"ETCD_WATCH_VALUE", quote(event.kv().value())}});
      if (code != 0) throw Failure{kError, fmt::format("{} failed with status {}", execute_.front(), code)};
    }
  }

  Command& command_;
  std::vector<std::string> execute_;
  std::unique_ptr<client::Client> client_;
  std::optional<WatchStream> stream_;
  bool opened_ = false;
  std::map<std::int64_t, pb::WatchCreateRequest> watches_;
};

// Standard input as lines, without blocking the watch.
class LineReader {
 public:
  explicit LineReader(client::Loop& loop) {
    handle_ = loop.on_readable(STDIN_FILENO, [this] {
      char buffer[4096];
      const auto n = ::read(STDIN_FILENO, buffer, sizeof buffer);
      if (n > 0) {
        text_.append(buffer, static_cast<std::size_t>(n));
      } else {
        ended_ = true;
        handle_.reset();
      }
    });
  }
  [[nodiscard]] bool ready() const { return text_.find('\n') != std::string::npos || (ended_ && !told_); }
  // nullopt: the input has ended.
  std::optional<std::string> next() {
    const auto end = text_.find('\n');
    if (end == std::string::npos) {
      told_ = true;
      return std::nullopt;
    }
    std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    return line;
  }

 private:
  client::Loop::Handle handle_;
  std::string text_;
  bool ended_ = false;
  bool told_ = false;
};

int watch_interactively(Command& command) {
  Watcher watcher(command, {});
  LineReader lines(watcher.loop());
  const auto attend = [&] {
    const auto line = lines.next();
    if (!line) return;  // the watches go on
    auto split = split_words(*line);
    if (split.words.empty() && split.error.empty()) return;
    if (split.error.empty() && split.words == std::vector<std::string>{"progress"})
      return watcher.ask_progress();
    if (!split.error.empty() || split.words.front() != "watch") {
      print_error(fmt::format("\"{}\": expecting watch [flags] KEY [RANGE_END], or progress", *line));
      return;
    }
    try {
      CLI::App app;
      WatchOptions options;
      options.define(app, true);
      std::vector<std::string> words(split.words.begin() + 1, split.words.end());
      std::reverse(words.begin(), words.end());
      app.parse(words);
      watcher.add(options.request());
    } catch (const CLI::ParseError& error) {
      print_error(error.what());
    } catch (const Failure& failure) {
      print_error(failure.text);
    }
  };
  return watcher.run([&] { return lines.ready(); }, attend);
}

}  // namespace

int watch(std::vector<std::string> args) {
  Command command(
      "watch", "Show changes as they happen.",
      R"(Goes on until interrupted, over lost connections, missing nothing and showing nothing twice.
Ends with status 5 when the cluster cancels the watch, for instance because the revisions
asked for are compacted away.

EXAMPLES
  quorate watch greeting
  quorate watch --prefix users/ --prev-kv       old and new
  quorate watch --prefix "" --rev 1             all that ever happened, then all that will
  quorate watch greeting -- sh -c 'echo $ETCD_WATCH_KEY is now $ETCD_WATCH_VALUE'
                                                run a command for each change
  quorate watch -i                              then type: watch KEY | watch --prefix KEY | progress)");
  WatchOptions options;
  options.define(command.app(), false);
  bool interactive = false;
  command.app().add_flag("-i,--interactive", interactive, "read watches from standard input");
  // What stands behind -- is a command, whatever it looks like.
  std::vector<std::string> execute;
  if (const auto dashes = std::find(args.begin(), args.end(), "--"); dashes != args.end()) {
    execute.assign(dashes + 1, args.end());
    args.erase(dashes, args.end());
  }
  return command.run(std::move(args), [&] {
    if (interactive) return watch_interactively(command);
    if (command.app().get_option("key")->count() == 0) throw Failure{kBadArguments, "watch needs a key"};
    Watcher watcher(command, execute);
    watcher.add(options.request());
    return watcher.run([] { return false; }, [] {});
  });
}

}  // namespace quorate::cli
