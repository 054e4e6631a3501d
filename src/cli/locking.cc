// lock and elect: the classic recipe. Everyone who wants it puts a key under the name, bound to a lease;
// whose key was created first has it; everyone else waits for the key just before their own to go.
#include <csignal>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/printers.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

using client::Client;

// A lease that is renewed while the loop runs and revoked at the end.
class Session {
 public:
  Session(Client& client, std::int64_t ttl) : client_(client) {
    pb::LeaseGrantRequest request;
    request.set_ttl(ttl);
    const auto granted = expect(client_.call(client::rpc::lease_grant, request));
    id_ = granted.id();
    ttl_ = granted.ttl();
    renewal_ = client_.loop().every(std::chrono::milliseconds(std::max<std::int64_t>(ttl_ * 1000 / 3, 100)),
                                    [this] { renew(); });
  }
  ~Session() {
    renewal_.reset();
    stream_.reset();
    pb::LeaseRevokeRequest request;
    request.set_id(id_);
    (void)client_.call(client::rpc::lease_revoke, request);  // else it ends by itself
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  [[nodiscard]] std::int64_t id() const { return id_; }
  [[nodiscard]] bool lost() const { return lost_; }

 private:
  // Answers are taken at the next renewal: nothing here may block, it runs inside other calls.
  void renew() {
    while (stream_ && stream_->ready()) {
      const auto response = stream_->read();
      if (!response) {
        stream_.reset();
      } else if (response->ttl() <= 0) {
        lost_ = true;
      }
    }
    if (!stream_ && opening_) return;
    if (!stream_) {
      opening_ = true;
      auto stream = client_.open(client::rpc::lease_keep_alive);
      opening_ = false;
      if (!stream) return;
      stream_.emplace(std::move(*stream));
    }
    pb::LeaseKeepAliveRequest request;
    request.set_id(id_);
    stream_->send(request);
  }

  Client& client_;
  std::int64_t id_ = 0;
  std::int64_t ttl_ = 0;
  bool lost_ = false;
  bool opening_ = false;
  client::Loop::Handle renewal_;
  std::optional<client::Stream<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>> stream_;
};

class Contender {
 public:
  Contender(Client& client, const Session& session, const std::string& name, std::string value)
      : client_(client),
        prefix_(name + "/"),
        key_(prefix_ + hex(static_cast<std::uint64_t>(session.id()))),
        lease_(session.id()),
        value_(std::move(value)) {}

  // Returns once the key is the first of all; false if `stop` became true before.
  bool acquire(const std::function<bool()>& stop) {
    register_key();
    while (!stop()) {
      const auto before = predecessor();
      if (!before) return true;
      if (!wait_for_deletion(before->first, before->second, stop)) return false;
    }
    return false;
  }

  void release() {
    pb::DeleteRangeRequest request;
    request.set_key(key_);
    (void)client_.call(client::rpc::delete_range, request);
  }

  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] pb::RangeResponse read() {
    pb::RangeRequest request;
    request.set_key(key_);
    return expect(client_.call(client::rpc::range, request));
  }

 private:
  void register_key() {
    pb::TxnRequest txn;
    auto* compare = txn.add_compare();
    compare->set_key(key_);
    compare->set_target(pb::Compare::CREATE);
    compare->set_create_revision(0);
    auto* put = txn.add_success()->mutable_request_put();
    put->set_key(key_);
    put->set_value(value_);
    put->set_lease(lease_);
    txn.add_failure()->mutable_request_range()->set_key(key_);
    const auto response = expect(client_.call(client::rpc::txn, txn));
    revision_ = response.succeeded() ? response.header().revision()
                                     : response.responses(0).response_range().kvs(0).create_revision();
  }

  // The last key created before ours, and the revision at which it was seen.
  std::optional<std::pair<std::string, std::int64_t>> predecessor() {
    pb::RangeRequest request;
    request.set_key(prefix_);
    request.set_range_end(prefix_end(prefix_));
    request.set_sort_order(pb::RangeRequest::DESCEND);
    request.set_sort_target(pb::RangeRequest::CREATE);
    request.set_max_create_revision(revision_ - 1);
    request.set_limit(1);
    const auto response = expect(client_.call(client::rpc::range, request));
    if (response.kvs().empty()) return std::nullopt;
    return std::pair(response.kvs(0).key(), response.header().revision());
  }

  bool wait_for_deletion(const std::string& key, std::int64_t seen_at, const std::function<bool()>& stop) {
    auto stream = expect(client_.open(client::rpc::watch));
    pb::WatchRequest request;
    request.mutable_create_request()->set_key(key);
    request.mutable_create_request()->set_start_revision(seen_at + 1);
    request.mutable_create_request()->add_filters(pb::WatchCreateRequest::NOPUT);
    stream.send(request);
    for (;;) {
      client_.loop().run_until([&] { return stream.ready() || stop(); });
      if (stop()) return false;
      const auto response = stream.read();
      if (!response || response->canceled()) {  // look again, elsewhere if need be
        if (!response) client_.next_endpoint();
        return true;
      }
      if (response->events_size() > 0) return true;
    }
  }

  Client& client_;
  std::string prefix_;
  std::string key_;
  std::int64_t lease_;
  std::string value_;
  std::int64_t revision_ = 0;
};

// The exit status of a command run with the lock, while the lease is renewed.
int run_with(Client& client, const Session& session, const std::vector<std::string>& words,
             const std::string& key, std::int64_t revision) {
  flush();
  const pid_t child = fork();
  if (child < 0) throw Failure{kError, "cannot start a process"};
  if (child == 0) {
    setenv("ETCD_LOCK_KEY", key.c_str(), 1);
    setenv("ETCD_LOCK_REV", std::to_string(revision).c_str(), 1);
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    std::fprintf(stderr, "Error: cannot execute %s\n", argv[0]);
    _exit(127);
  }
  int status = 0;
  bool ended = false;
  const auto reap = [&] { ended = ended || waitpid(child, &status, WNOHANG) == child; };
  const auto on_child = client.loop().on_signal({SIGCHLD}, [&](int) { reap(); });
  reap();
  client.loop().run_until([&] { return ended || session.lost(); });
  if (!ended) {
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    throw Failure{kError, "the lease of the lock was lost; the command was stopped"};
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return kOk;
  throw Failure{kError, WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                          : fmt::format("ended by signal {}", WTERMSIG(status))};
}

// Takes the place, shows it, and holds it until a signal (or the end of the command).
int hold(Command& command, const std::string& name, const std::string& value, std::int64_t ttl,
         const std::vector<std::string>& execute) {
  const auto client = command.connect();
  bool stopped = false;
  const auto on_stop = client->loop().on_signal({SIGINT, SIGTERM}, [&](int) { stopped = true; });
  Session session(*client, ttl);
  Contender contender(*client, session, name, value);
  const bool first = contender.acquire([&] { return stopped || session.lost(); });
  if (!first) {
    contender.release();
    if (session.lost()) throw Failure{kError, "the lease ended while waiting"};
    return kOk;
  }
  if (!execute.empty()) {
    const auto held = contender.read();
    const int code = run_with(*client, session, execute, contender.key(), held.header().revision());
    contender.release();
    return code;
  }
  const auto held = contender.read();
  if (command.format() == Format::simple && value.empty()) {
    print(contender.key() + "\n");
  } else {
    print(show(held, {command.format(), command.hex()}));
  }
  flush();
  client->loop().run_until([&] { return stopped || session.lost(); });
  contender.release();
  if (session.lost()) throw Failure{kError, "session expired"};
  return kOk;
}

// Everyone standing in an election, by the revision at which they stood up: the first leads.
class Standing {
 public:
  explicit Standing(std::int64_t told = 0) : told_(told) {}
  [[nodiscard]] std::int64_t told() const { return told_; }
  void put(const mvccpb::KeyValue& kv) { candidates_[kv.create_revision()] = kv; }
  void remove(const std::string& key) {
    std::erase_if(candidates_, [&](const auto& entry) { return entry.second.key() == key; });
  }
  // The leader, if there is one that was not told before.
  std::optional<mvccpb::KeyValue> news() {
    if (candidates_.empty()) return std::nullopt;
    const auto& leader = candidates_.begin()->second;
    if (std::exchange(told_, leader.mod_revision()) == leader.mod_revision()) return std::nullopt;
    return leader;
  }

 private:
  std::map<std::int64_t, mvccpb::KeyValue> candidates_;
  std::int64_t told_;  // the modification told last
};

// Follows every change, so that a leadership that was over at once is shown as well.
int listen(Command& command, const std::string& name) {
  const auto client = command.connect();
  const std::string prefix = name + "/";
  Standing standing;
  const auto tell = [&](const pb::ResponseHeader& header) {
    const auto leader = standing.news();
    if (!leader) return;
    pb::RangeResponse response;
    *response.mutable_header() = header;
    *response.add_kvs() = *leader;
    response.set_count(1);
    print(show(response, {command.format(), command.hex()}));
    flush();
  };
  for (;;) {
    pb::RangeRequest request;
    request.set_key(prefix);
    request.set_range_end(prefix_end(prefix));
    const auto now = expect(client->call(client::rpc::range, request));
    standing = Standing(standing.told());
    for (const auto& kv : now.kvs()) standing.put(kv);
    tell(now.header());
    auto stream = expect(client->open(client::rpc::watch));
    pb::WatchRequest watch;
    watch.mutable_create_request()->set_key(prefix);
    watch.mutable_create_request()->set_range_end(prefix_end(prefix));
    watch.mutable_create_request()->set_start_revision(now.header().revision() + 1);
    stream.send(watch);
    for (;;) {
      const auto response = stream.read();
      if (!response || response->canceled()) break;
      for (const auto& event : response->events()) {
        if (event.type() == mvccpb::Event::DELETE) {
          standing.remove(event.kv().key());
        } else {
          standing.put(event.kv());
        }
        tell(response->header());
      }
    }
    client->next_endpoint();
  }
}

// Cuts off what is behind the first `count` plain words or behind `--`: a command with flags of its own.
std::vector<std::string> take_command(std::vector<std::string>& args) {
  const auto dashes = std::find(args.begin(), args.end(), "--");
  if (dashes == args.end()) return {};
  std::vector<std::string> execute(dashes + 1, args.end());
  args.erase(dashes, args.end());
  return execute;
}

}  // namespace

int lock(std::vector<std::string> args) {
  Command command(
      "lock", "Hold a lock until interrupted, or while a command runs.",
      R"(The lock is free again when this ends, however it ends: at the latest when its lease does.

EXAMPLES
  quorate lock nightly                          prints the key when it has the lock; Ctrl-C frees it
  quorate lock nightly -- ./backup.sh --full    wait for the lock, run the command, free the lock
                                                ($ETCD_LOCK_KEY and $ETCD_LOCK_REV tell the command))");
  std::string name;
  std::string program;
  std::int64_t ttl = 10;
  auto execute = take_command(args);
  command.app().add_option("name", name, "the lock")->required();
  command.app().add_option("command", program, "a command without arguments; use -- for one with");
  command.app()
      .add_option("--ttl", ttl, "seconds until the lock is free if this process dies")
      ->capture_default_str();
  return command.run(std::move(args), [&] {
    if (!program.empty()) execute.insert(execute.begin(), program);
    return hold(command, name, "", ttl, execute);
  });
}

int elect(std::vector<std::string> args) {
  Command command("elect", "Stand for election until interrupted, or watch one.", R"(EXAMPLES
  quorate elect primary node-a                  prints the key and the proposal once elected
  quorate elect --listen primary                prints who is elected, again at every change)");
  std::string name;
  std::string proposal;
  bool listening = false;
  std::int64_t ttl = 60;
  command.app().add_option("name", name, "the election")->required();
  command.app().add_option("proposal", proposal, "what to announce when elected");
  command.app().add_flag("-l,--listen", listening, "only observe");
  command.app()
      .add_option("--ttl", ttl, "seconds until the next one is elected if this process dies")
      ->capture_default_str();
  return command.run(std::move(args), [&] {
    if (listening) return listen(command, name);
    if (proposal.empty()) throw Failure{kBadArguments, "elect needs a proposal, or --listen"};
    return hold(command, name, proposal, ttl, {});
  });
}

}  // namespace quorate::cli
