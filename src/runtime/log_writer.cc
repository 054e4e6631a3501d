#include "runtime/log_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

#include "runtime/time_slice.h"

namespace quorate::runtime {

namespace {

// A batch up to here is written by the reactor, if flushes took no longer than this of late: the reactor
// waits for it, and with it everything else.
constexpr std::size_t small_bytes = 4096;
constexpr double quick_seconds = 0.001;

std::size_t bytes_of(const std::vector<Write>& writes) {
  std::size_t bytes = 0;
  for (const auto& write : writes) {
    if (const auto* append = std::get_if<AppendEntries>(&write)) {
      for (const auto& entry : append->entries) bytes += entry.payload.size();
    }
  }
  return bytes;
}

}  // namespace

LogWriter::LogWriter(boost::asio::io_context& context, std::unique_ptr<storage::Wal> wal,
                     std::move_only_function<void(const Durable&)> durable,
                     std::move_only_function<void(const std::string&)> failed)
    : context_(context), wal_(std::move(wal)), durable_(std::move(durable)), failed_(std::move(failed)) {
  stats_ = wal_->stats();
  thread_ = std::thread([this] { run(); });
}

LogWriter::~LogWriter() { stop(); }

void LogWriter::stage(KeyspaceId keyspace, Ticket ticket, std::vector<Write> writes) {
  const std::size_t bytes = bytes_of(writes);
  staged_bytes_ += bytes;
  staged_ever_ += bytes;
  staged_.push_back({keyspace, ticket, std::move(writes)});
}

bool LogWriter::submit() {
  if (staged_.empty()) return false;
  if (staged_bytes_ <= small_bytes && write_here()) return true;
  give();
  return false;
}

void LogWriter::hand_over() {
  if (staged_bytes_ > small_bytes) give();
}

void LogWriter::give() {
  staged_bytes_ = 0;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (submitted_.empty()) {
      submitted_.swap(staged_);
    } else {
      std::ranges::move(staged_, std::back_inserter(submitted_));
    }
    wake = waiting_;
  }
  staged_.clear();
  if (wake) wake_.notify_one();
}

// While the thread waits it does not touch the log, and without the lock it does not stop waiting.
bool LogWriter::write_here() {
  Durable durable;
  {
    const std::lock_guard lock(mutex_);
    const bool idle = waiting_ && submitted_.empty() && !stopping_ && done_.empty();
    if (!idle || recent_seconds_ > quick_seconds) return false;
    staged_bytes_ = 0;
    const std::vector<Item> batch = std::exchange(staged_, {});
    const auto seconds = write(batch);
    if (!seconds) {
      stopping_ = true;
      return false;
    }
    note(*seconds);
    for (const auto& item : batch) durable[item.keyspace] = item.ticket;
  }
  durable_(durable);
  return true;
}

void LogWriter::stop() {
  alive_->store(false);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void LogWriter::run() {
  prefer_short_turns();
  std::vector<Item> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      waiting_ = true;
      wake_.wait(lock, [this] { return stopping_ || !submitted_.empty(); });
      waiting_ = false;
      if (submitted_.empty()) return;
      batch.clear();
      batch.swap(submitted_);
    }
    const auto seconds = write(batch);
    if (!seconds) return;
    report(batch, *seconds);
  }
}

// How long it took.
std::optional<double> LogWriter::write(const std::vector<Item>& batch) {
  const auto begun = std::chrono::steady_clock::now();
  for (const auto& item : batch) wal_->append(item.keyspace, item.writes);
  auto synced = wal_->sync();
  if (!synced) {
    const bool full = synced.error().kind == storage::IoErrorKind::full;
    fail("the log could not be written: " + synced.error().what +
         (full ? ". The disk is full: make room and start the node again; nothing acknowledged is lost"
               : ". Nothing after the last acknowledged write is trusted; check the disk and start the node "
                 "again"));
    return std::nullopt;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void LogWriter::note(double seconds) {
  times_.note(seconds);
  recent_seconds_ += (seconds - recent_seconds_) / 8;
  stats_ = wal_->stats();
}

void LogWriter::report(const std::vector<Item>& batch, double seconds) {
  bool post = false;
  {
    const std::lock_guard lock(mutex_);
    note(seconds);
    for (const auto& item : batch) done_[item.keyspace] = item.ticket;
    post = !std::exchange(delivery_posted_, true);
  }
  if (!post) return;
  boost::asio::post(context_, [this, alive = alive_] {
    if (alive->load()) deliver();
  });
}

void LogWriter::deliver() {
  Durable done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(done_);
    delivery_posted_ = false;
  }
  durable_(done);
}

void LogWriter::fail(const std::string& reason) {
  boost::asio::post(context_, [this, alive = alive_, reason] {
    if (alive->load()) failed_(reason);
  });
}

Durations LogWriter::flush_times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

storage::Wal::Stats LogWriter::log_stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace quorate::runtime
