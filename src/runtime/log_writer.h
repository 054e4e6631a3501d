// Writes the log on a thread of its own. The reactor stages the writes of all keyspaces and hands them over
// once a turn; whatever gathered while a flush was under way goes into the next: group commit. Hand-overs
// carry batches in both directions, since waking a thread costs about as much as writing a small batch; on a
// quiet node with a quick disk the reactor therefore writes small batches itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/durations.h"
#include "core/entry.h"
#include "core/ids.h"
#include "storage/wal.h"

namespace quorate::runtime {

class LogWriter {
 public:
  using Durable = std::map<KeyspaceId, Ticket>;  // everything up to these tickets

  // `durable` and `failed` run on the io_context. After `failed` nothing is written any more.
  LogWriter(boost::asio::io_context& context, std::unique_ptr<storage::Wal> wal,
            std::move_only_function<void(const Durable&)> durable,
            std::move_only_function<void(const std::string&)> failed);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void stage(KeyspaceId keyspace, Ticket ticket, std::vector<Write> writes);
  // Once a turn: hands over what was staged, or writes it at once. True if `durable` was called.
  bool submit();
  // Before something that takes long: hands over what was staged, unless it is so little that submit() may
  // write it.
  void hand_over();
  void stop();  // writes what was submitted, then ends the thread; nothing is reported any more

  [[nodiscard]] std::uint64_t staged_ever() const { return staged_ever_; }  // bytes of entries
  [[nodiscard]] Durations flush_times() const;
  [[nodiscard]] storage::Wal::Stats log_stats() const;

 private:
  struct Item {
    KeyspaceId keyspace;
    Ticket ticket;
    std::vector<Write> writes;
  };

  void give();
  void run();
  [[nodiscard]] bool write_here();
  [[nodiscard]] std::optional<double> write(const std::vector<Item>& batch);
  void note(double seconds);  // with the lock
  void report(const std::vector<Item>& batch, double seconds);
  void deliver();
  void fail(const std::string& reason);

  boost::asio::io_context& context_;
  std::unique_ptr<storage::Wal> wal_;
  std::move_only_function<void(const Durable&)> durable_;
  std::move_only_function<void(const std::string&)> failed_;
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);

  std::vector<Item> staged_;       // the reactor's own
  std::size_t staged_bytes_ = 0;   // of entries
  std::uint64_t staged_ever_ = 0;  // likewise

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> submitted_;
  bool waiting_ = false;
  bool stopping_ = false;
  Durable done_;
  bool delivery_posted_ = false;
  Durations times_;
  double recent_seconds_ = 1;  // a moving average of flushes
  storage::Wal::Stats stats_;

  std::thread thread_;
};

}  // namespace quorate::runtime
