#include "runtime/node.h"

#include <random>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "runtime/clock.h"
#include "runtime/restore.h"
#include "runtime/time_slice.h"
#include "storage/posix_disk.h"

namespace quorate::runtime {
namespace {

// How many completions are taken before the turn ends and their results go out.
constexpr int completions_per_turn = 256;

std::uint64_t random_number() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

net::PeersConfig links_of(const NodeConfig& config) {
  net::PeersConfig links = config.links;
  links.self = config.identity.node;
  links.cluster = config.identity.cluster;
  links.instance = random_number();
  links.peer_urls = config.peer_urls;
  return links;
}

}  // namespace

std::expected<DataDirectory, std::string> DataDirectory::open(const std::string& path) {
  DataDirectory directory;
  directory.path_ = path;
  auto disk = storage::open_directory(path);
  if (!disk) return std::unexpected("data directory " + path + ": " + disk.error().what);
  directory.disk_ = std::move(*disk);
  if (restore_unfinished(path)) {
    return std::unexpected(
        "data directory " + path +
        ": restoring a backup to it was not finished; run `quorate snapshot restore` again");
  }
  auto identity = load_identity(*directory.disk_);
  if (!identity) return std::unexpected("data directory " + path + ": " + identity.error());
  directory.identity_ = std::move(*identity);
  return directory;
}

std::expected<Identity, std::string> DataDirectory::begin(Identity identity) {
  identity.incarnation = (identity_ ? identity_->incarnation : 0) + 1;
  if (auto saved = save_identity(*disk_, identity); !saved) {
    return std::unexpected("data directory " + path_ + ": " + saved.error());
  }
  identity_ = identity;
  return identity;
}

std::expected<void, std::string> DataDirectory::mark_removed() {
  Identity marked = *identity_;
  marked.removed = true;
  if (auto saved = save_identity(*disk_, marked); !saved) return saved;
  identity_ = std::move(marked);
  return {};
}

Node::Node(boost::asio::io_context& context, DataDirectory directory, NodeConfig config)
    : context_(context),
      work_(boost::asio::make_work_guard(context)),
      directory_(std::move(directory)),
      config_(std::move(config)),
      peers_(context, links_of(config_), *this),
      tend_timer_(context),
      slow_(std::make_unique<boost::asio::thread_pool>(1)),
      compactor_(std::make_unique<boost::asio::thread_pool>(1)) {}

Node::~Node() {
  for (auto& [id, keyspace] : keyspaces_) keyspace->close();
  cancel_compaction_ = true;
  slow_->join();
  compactor_->join();
  if (writer_) writer_->stop();
  peers_.stop();
}

std::expected<std::unique_ptr<Node>, std::string> Node::open(boost::asio::io_context& context,
                                                             DataDirectory directory, NodeConfig config) {
  if (const auto& kept = directory.identity()) {
    if (kept->node != config.identity.node || kept->cluster != config.identity.cluster) {
      return std::unexpected("data directory " + directory.path() + " belongs to node " +
                             to_string(kept->node) + " of cluster " + to_string(kept->cluster) +
                             ", not to node " + to_string(config.identity.node) + " of cluster " +
                             to_string(config.identity.cluster));
    }
    if (kept->removed) {
      return std::unexpected(
          "node " + to_string(kept->node) +
          " was removed from the cluster for good, and the data directory " + directory.path() +
          " is of no more use to it. To take part again, add it as a new member (quorate member add, or "
          "etcdctl's) and start it with an empty data directory and join = true (--initial-cluster-state "
          "existing)");
    }
    config.identity.initial = kept->initial;
  }
  auto identity = directory.begin(std::move(config.identity));
  if (!identity) return std::unexpected(identity.error());
  config.identity = std::move(*identity);
  std::unique_ptr<Node> node(new Node(context, std::move(directory), std::move(config)));
  if (auto recovered = node->recover(); !recovered) return std::unexpected(recovered.error());
  return node;
}

std::expected<void, std::string> Node::recover() {
  auto disk = storage::open_directory(log_path());
  if (!disk) return std::unexpected(disk.error().what);
  log_disk_ = std::move(*disk);
  const storage::WalConfig log_config{.segment_bytes = config_.segment_bytes,
                                      .cluster = config_.identity.cluster,
                                      .node = config_.identity.node};
  auto opened = open_log(log_config);
  if (!opened) return std::unexpected(opened.error());
  auto states = open_states(*opened, log_config);
  if (!states) return std::unexpected(states.error());
  writer_ = std::make_unique<LogWriter>(
      context_, std::move(opened->wal),
      [this](const LogWriter::Durable& durable) {
        for (const auto& [id, ticket] : durable) keyspaces_.at(id)->persisted(ticket);
      },
      [this](const std::string& reason) { halt(reason); });

  for (const auto& address : config_.listen) {
    if (auto port = peers_.listen(address); !port) return std::unexpected(port.error());
  }
  for (auto& keyspace : std::exchange(config_.keyspaces, {})) {
    const KeyspaceId id = keyspace_id(keyspace.name);
    if (keyspaces_.contains(id)) return std::unexpected("keyspace '" + keyspace.name + "' is there twice");
    auto added =
        add_keyspace(std::move(keyspace), std::move(opened->keyspaces[id]), std::move(states->at(id)));
    if (!added) return added;
  }
  update_peers();
  for (auto& [id, keyspace] : keyspaces_) keyspace->start();
  watch_space(false);
  tend();
  return {};
}

std::string Node::log_path() const {
  return config_.log_directory.empty() ? directory_.path() + "/log" : config_.log_directory;
}

std::expected<storage::Wal::Opened, std::string> Node::open_log(const storage::WalConfig& log) {
  const auto in_log = [this](const storage::WalError& error) {
    return "the log in " + log_path() + ": " + error.what;
  };
  if (auto there = check_that_the_log_is_there(); !there) return std::unexpected(there.error());
  auto opened = storage::Wal::open(*log_disk_, log);
  if (!opened && opened.error().kind == storage::WalError::Kind::corrupt) {
    if (auto begun = begin_log_anew(log, in_log(opened.error()), {}); !begun)
      return std::unexpected(begun.error());
    opened = storage::Wal::open(*log_disk_, log);
  }
  if (!opened) return std::unexpected(in_log(opened.error()));
  if (opened->torn_bytes != 0) {
    spdlog::info("log: cut {} bytes of an unfinished write from its end", opened->torn_bytes);
  }
  return std::move(*opened);
}

// Where a state is lost the log is opened anew, without what it held behind that state.
std::expected<Node::States, std::string> Node::open_states(storage::Wal::Opened& log,
                                                           const storage::WalConfig& config) {
  for (bool again = false;; again = true) {
    States states;
    Lost lost;
    std::string damage;
    for (const auto& keyspace : config_.keyspaces) {
      const KeyspaceId id = keyspace_id(keyspace.name);
      if (states.contains(id)) continue;
      auto home = std::make_unique<storage::RocksHome>(state_path(keyspace.name), keyspace.storage);
      const Recovered& recovered = log.keyspaces[id];
      auto live = replica::Replica::recover_state(*home, recovered);
      if (live) {
        states[id] = {std::move(home), std::move(*live)};
        continue;
      }
      const std::string what = "keyspace '" + keyspace.name + "': " + live.error().what;
      if (!live.error().lost || again) return std::unexpected(what);
      damage += (damage.empty() ? "" : "; ") + what;
      lost[id] = recovered.snapshot ? recovered.snapshot->membership : Membership();
    }
    if (lost.empty()) return states;
    states.clear();
    log = {};
    if (auto begun = begin_log_anew(config, damage, lost); !begun) return std::unexpected(begun.error());
    auto opened = open_log(config);
    if (!opened) return std::unexpected(opened.error());
    log = std::move(*opened);
  }
}

std::expected<void, std::string> Node::add_keyspace(KeyspaceConfig config, Recovered recovered, State state) {
  const std::string name = config.name;
  const KeyspaceId id = keyspace_id(name);
  config.settings.self = config_.identity.node;
  config.settings.initial = first_membership(config_.identity);
  config.replica.self = config_.identity.node;
  config.replica.incarnation = config_.identity.incarnation;
  spdlog::info("keyspace {}: {} entries in the log{}", name, recovered.log.size(),
               recovered.snapshot ? " behind a snapshot at " + to_string(recovered.snapshot->index) : "");
  memberships_[id] = config.settings.initial;
  keyspaces_[id] = std::make_unique<Keyspace>(*this, std::move(config), std::move(state.home),
                                              std::move(state.live), std::move(recovered), random_number());
  if (auto known = keyspaces_[id]->status().membership; !known.members.empty()) memberships_[id] = known;
  return {};
}

Keyspace* Node::keyspace(const std::string& name) {
  const auto found = keyspaces_.find(keyspace_id(name));
  return found == keyspaces_.end() ? nullptr : found->second.get();
}

std::expected<void, std::string> Node::run() {
  prefer_short_turns();
  while (!stopping_ && !halted_) {
    wait_for_input();
    fire_timers();
    end_turn();
  }
  peers_.flush();
  for (auto& [id, keyspace] : keyspaces_) keyspace->close();
  if (halted_) return std::unexpected(*halted_);
  flush_states();
  return {};
}

// An orderly restart has nothing to replay. Where it fails, the log still has everything.
void Node::flush_states() {
  await_flushes();
  for (auto& [id, keyspace] : keyspaces_) {
    if (!keyspace->settled()) continue;  // in the midst of a command, which the log has
    if (auto flushed = keyspace->engine().flush(); !flushed) {
      spdlog::warn("keyspace {}: {}; the next start replays the log", keyspace->name(), flushed.error().what);
    }
  }
}

// Sockets before timers: after a pause of the process, the heartbeat that waits in a socket's buffer must be
// seen before the time-out that it would have prevented.
void Node::wait_for_input() {
  int taken = 0;
  if (!busy_) {
    const auto next = timers_.next();
    taken += static_cast<int>(next ? context_.run_one_until(to_steady(*next)) : context_.run_one());
  }
  while (taken < completions_per_turn && context_.poll_one() != 0) ++taken;
}

void Node::fire_timers() {
  const Instant moment = now();
  while (auto due = timers_.take_due(moment)) {
    if (const auto keyspace = keyspaces_.find(due->first); keyspace != keyspaces_.end()) {
      keyspace->second->timer(due->second);
    }
  }
}

// Messages before the log: the followers' flushes run beside this node's own.
void Node::end_turn() {
  constexpr int rounds = 4;  // what waited for the log may write to it again
  for (int round = 0; round < rounds; ++round) {
    busy_ = false;
    for (auto& [id, keyspace] : keyspaces_) busy_ |= keyspace->turn();
    peers_.flush();
    if (!writer_->submit()) return watch_space_as_the_log_grows();
  }
  busy_ = true;
}

void Node::persist(KeyspaceId keyspace, Ticket ticket, std::vector<Write> writes) {
  writer_->stage(keyspace, ticket, std::move(writes));
}

void Node::flush_state(storage::Engine& engine,
                       std::move_only_function<void(const storage::IoResult<void>&)> done) {
  flushes_.fetch_add(1);
  boost::asio::post(*slow_, [this, flush = engine.begin_flush(), done = std::move(done)]() mutable {
    const auto begun = std::chrono::steady_clock::now();
    auto flushed = flush();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    flush = nullptr;  // whoever waits for the flush may want to close the engine's files
    post([this, took, done = std::move(done), flushed = std::move(flushed)]() mutable {
      state_flushes_.note(took.count());
      done(flushed);
    });
    flushes_.fetch_sub(1);
    flushes_.notify_all();
  });
}

void Node::compact_state(storage::Engine& engine, std::function<void(storage::IoResult<void>)> done) {
  auto compact = [this, work = engine.compaction(), done = std::move(done)]() mutable {
    auto compacted = work(cancel_compaction_);
    work = nullptr;
    post(
        [done = std::move(done), compacted = std::move(compacted)]() mutable { done(std::move(compacted)); });
  };
  boost::asio::post(*slow_, [this, compact = std::move(compact)]() mutable {  // behind the flush under way
    boost::asio::post(*compactor_, std::move(compact));
  });
}

void Node::await_flushes() {
  for (int left = flushes_.load(); left != 0; left = flushes_.load()) flushes_.wait(left);
}

void Node::post(std::move_only_function<void()> call) { boost::asio::post(context_, std::move(call)); }

void Node::stop() {
  post([this] { stopping_ = true; });
}

void Node::halt(const std::string& reason) {
  if (halted_) return;
  spdlog::critical("this node stops: {}", reason);
  halted_ = reason;
}

// What needs no haste, but must happen while nothing else does.
void Node::tend() {
  tend_timer_.expires_after(config_.tend_interval);
  tend_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    bound_log();
    watch_space(true);
    for (auto& [id, keyspace] : keyspaces_) keyspace->tend();
    for (const auto keyspace : removed_from(id())) left(keyspace, "it stands in the log");
    tend();
  });
}

}  // namespace quorate::runtime
