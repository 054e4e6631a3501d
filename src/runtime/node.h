// A node: one reactor thread that drives the replicas of all its keyspaces, one thread that writes the log,
// one for slow work. Servers and library users build on this.
//
//   boost::asio::io_context context(1);
//   auto directory = runtime::DataDirectory::open("data/n1");
//   auto node = runtime::Node::open(context, std::move(*directory), config);      // recovers what is on disk
//   node->keyspace("mine")->propose(command, [](replica::Outcome<Bytes> result) { ... });
//   std::expected<void, std::string> end = node->run();                           // until stop() or a
//   failure
//
// Every call but stop() and post() belongs to the thread that calls run().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "core/node_info.h"
#include "net/address.h"
#include "net/peers.h"
#include "runtime/identity.h"
#include "runtime/keyspace.h"
#include "runtime/log_writer.h"
#include "runtime/timers.h"
#include "storage/disk.h"

namespace quorate::runtime {

// The directory that holds everything of a node, locked while this object lives.
//
//   identity   who the node is            log/       the write-ahead log of all keyspaces
//   LOCK       held by the process        state/     one directory per keyspace
class DataDirectory {
 public:
  static std::expected<DataDirectory, std::string> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::optional<Identity>& identity() const { return identity_; }
  // Writes the identity with a new incarnation, which is returned.
  std::expected<Identity, std::string> begin(Identity identity);
  std::expected<void, std::string> mark_removed();

 private:
  std::string path_;
  std::unique_ptr<storage::Disk> disk_;
  std::optional<Identity> identity_;
};

struct NodeConfig {
  Identity identity;                                     // `incarnation` is counted on by the node
  std::vector<net::Address> listen;                      // for peers; empty for a node without any
  std::vector<std::string> peer_urls;                    // where peers reach this node
  std::map<NodeId, std::vector<std::string>> addresses;  // of other nodes, beside what the membership says
  std::uint64_t segment_bytes = 16U << 20U;              // of the log's files
  std::string log_directory;                             // of the log; empty: below the data directory
  // A log that turns out to be damaged at the start is given up for what the other members have, where it can
  // be proven that nothing acknowledged is lost by it. Otherwise the node does not start.
  bool repair = true;
  // Of the log: beyond it, whatever keyspace holds its oldest part is asked for a checkpoint.
  std::uint64_t log_bytes = 512U << 20U;
  // Of the disk: with less free beside what is still to be flushed, the node is low on space (see there). No
  // more than an eighth of the disk.
  std::uint64_t reserve_bytes = 256U << 20U;
  std::chrono::milliseconds tend_interval{500};  // between two looks at log and disk
  net::PeersConfig links;                        // limits and intervals; identity is filled in
  std::vector<KeyspaceConfig> keyspaces;
};

class Node final : private net::PeersHandler {
 public:
  static std::expected<std::unique_ptr<Node>, std::string> open(boost::asio::io_context& context,
                                                                DataDirectory directory, NodeConfig config);
  ~Node() override;

  // Turns the reactor until stop(), or until the node can not go on: then the reason.
  [[nodiscard]] std::expected<void, std::string> run();
  void stop();                                      // from any thread, also from a signal's handler in Asio
  void post(std::move_only_function<void()> call);  // from any thread

  // Called once, when each keyspace turns out to have removed this node; the data directory is marked by
  // then. Without such a call run() ends.
  void on_removed(std::move_only_function<void()> call) { on_removed_ = std::move(call); }
  [[nodiscard]] bool removed() const { return removed_; }

  [[nodiscard]] NodeId id() const { return config_.identity.node; }
  [[nodiscard]] ClusterId cluster() const { return config_.identity.cluster; }
  [[nodiscard]] std::uint64_t incarnation() const { return config_.identity.incarnation; }
  [[nodiscard]] Keyspace* keyspace(const std::string& name);  // null if there is none
  [[nodiscard]] std::vector<net::Peers::PeerStatus> peers() const { return peers_.status(); }
  [[nodiscard]] Durations flush_times() const { return writer_->flush_times(); }
  [[nodiscard]] const Durations& state_flush_times() const { return state_flushes_; }
  [[nodiscard]] storage::Wal::Stats log_stats() const { return writer_->log_stats(); }
  [[nodiscard]] std::uint64_t bytes_on_disk() const;
  // The disk is nearly full. What is left is for the log, which prepares its files ahead, and for flushing
  // the state, so that reads and whatever makes room go on; what makes the state larger should be refused.
  [[nodiscard]] bool low_on_space() const { return low_on_space_; }
  [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes_; }  // of the disk, as last seen
  [[nodiscard]] boost::asio::io_context& context() { return context_; }

  // For the keyspaces.
  void send(NodeId to, KeyspaceId keyspace, Bytes frame) { peers_.send(to, keyspace, std::move(frame)); }
  void persist(KeyspaceId keyspace, Ticket ticket, std::vector<Write> writes);
  void write_log() { writer_->hand_over(); }  // at once, not at the end of the turn
  [[nodiscard]] Timers& timers() { return timers_; }
  void flush_state(storage::Engine& engine,
                   std::move_only_function<void(const storage::IoResult<void>&)> done);
  void await_flushes();
  void compact_state(storage::Engine& engine, std::function<void(storage::IoResult<void>)> done);
  void halt(const std::string& reason);
  void membership_changed(KeyspaceId keyspace, const Membership& membership);
  // The ids that other keyspaces have for whom one reaches there, but for those that this one used up.
  [[nodiscard]] std::vector<NodeId> known_at(const std::vector<std::string>& peer_urls,
                                             const Keyspace& keyspace) const;

 private:
  Node(boost::asio::io_context& context, DataDirectory directory, NodeConfig config);
  std::expected<void, std::string> recover();
  struct State {  // of a keyspace
    std::unique_ptr<storage::RocksHome> home;
    std::unique_ptr<storage::Engine> live;
  };
  using States = std::map<KeyspaceId, State>;
  using Lost = std::map<KeyspaceId, Membership>;  // keyspaces whose state is, and who their members were
  std::expected<storage::Wal::Opened, std::string> open_log(const storage::WalConfig& log);
  std::expected<States, std::string> open_states(storage::Wal::Opened& log, const storage::WalConfig& config);
  std::expected<void, std::string> add_keyspace(KeyspaceConfig config, Recovered recovered, State state);
  // repair.cc
  [[nodiscard]] std::expected<void, std::string> check_that_the_log_is_there() const;
  std::expected<void, std::string> begin_log_anew(const storage::WalConfig& log, const std::string& damage,
                                                  const Lost& lost);
  [[nodiscard]] std::string log_path() const;
  [[nodiscard]] std::string state_path(const std::string& keyspace) const {
    return directory_.path() + "/state/" + keyspace;
  }
  void wait_for_input();
  void fire_timers();
  void end_turn();
  void flush_states();
  void update_peers();
  void tend();
  void bound_log();
  void watch_space_as_the_log_grows();
  void watch_space(bool flush_had_time);

  void received(NodeId from, KeyspaceId keyspace, Bytes frame) override;
  [[nodiscard]] std::vector<net::Known> members() const override;
  [[nodiscard]] bool has_started(NodeId member) const override;
  [[nodiscard]] std::vector<KeyspaceId> removed_from(NodeId node) const override;
  void told_removed(NodeId by, const std::vector<KeyspaceId>& from) override;
  void left(KeyspaceId id, const std::string& how_known);
  void leave(const std::string& how_known);

  boost::asio::io_context& context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  DataDirectory directory_;
  NodeConfig config_;
  net::Peers peers_;
  Timers timers_;
  std::unique_ptr<storage::Disk> log_disk_;
  std::unique_ptr<LogWriter> writer_;
  std::map<KeyspaceId, std::unique_ptr<Keyspace>> keyspaces_;
  std::map<KeyspaceId, Membership> memberships_;
  boost::asio::steady_timer tend_timer_;
  KeyspaceId stranger_;  // holds the log and is not of this node: told once
  std::optional<std::string> halted_;
  bool stopping_ = false;
  std::set<KeyspaceId> left_;  // they removed this node
  bool removed_ = false;
  std::move_only_function<void()> on_removed_;
  bool busy_ = false;  // a keyspace has more to do without waiting
  std::atomic<int> flushes_{0};
  Durations state_flushes_;
  bool pressed_ = false;  // too little was free at the last look
  bool low_on_space_ = false;
  std::uint64_t looked_at_ = 0;  // what the log had been given at the last look at the disk
  std::uint64_t free_bytes_ = UINT64_MAX;
  std::atomic<bool> cancel_compaction_{false};
  std::unique_ptr<boost::asio::thread_pool> slow_;       // flushes
  std::unique_ptr<boost::asio::thread_pool> compactor_;  // compactions, which take longer
};

}  // namespace quorate::runtime
