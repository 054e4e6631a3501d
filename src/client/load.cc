#include "client/load.h"

#include <deque>
#include <memory>

namespace quorate::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr nanoseconds kTick = std::chrono::microseconds(500);  // of the open loop
constexpr milliseconds kReconnect{100};

class Generator;

// One call at a time.
class Slot final : public CallHandler {
 public:
  Slot(Generator& generator, unsigned connection) : generator_(generator), connection_(connection) {}
  void on_message(std::string_view) override { answered_ = true; }
  void on_end(const Status& status) override;
  void begin(OpKind kind, Time due) {
    kind_ = kind;
    due_ = due;
    answered_ = false;
  }
  [[nodiscard]] unsigned connection() const { return connection_; }

 private:
  Generator& generator_;
  unsigned connection_;
  OpKind kind_ = OpKind::put;
  bool answered_ = false;
  Time due_;
};

class Generator {
 public:
  Generator(const LoadOptions& options, const LoadHooks& hooks)
      : options_(options), hooks_(hooks), workload_(options.workload) {
    for (unsigned c = 0; c < options_.connections; ++c) {
      connections_.push_back(nullptr);
      for (unsigned s = 0; s < options_.streams; ++s) slots_.push_back(std::make_unique<Slot>(*this, c));
    }
  }

  std::expected<LoadResult, Status> run() {
    for (unsigned c = 0; c < options_.connections; ++c) {
      if (Status failed = connect_now(c); !failed.ok()) return std::unexpected(std::move(failed));
    }
    if (options_.prefill) prefill();
    for (auto& slot : slots_) free_.push_back(slot.get());
    start_ = Clock::now();
    Loop::Handle ticker;
    if (options_.rate > 0) {
      ticker = loop_.every(kTick, [this] { send_due(); });
    } else {
      while (!free_.empty()) send(take(), Clock::now());
    }
    loop_.run_until([] { return false; }, start_ + options_.warm_up);
    measure();
    return std::move(result_);
  }

  void ended(Slot& slot, OpKind kind, Time due, bool answered, const Status& status) {
    const bool good = status.ok() && answered;
    if (good && (kind == OpKind::put || kind == OpKind::txn)) ++result_.acknowledged_writes;
    if (prefilling_) {
      if (!good) ++result_.errors["prefill: " + status.message];
      ++prefilled_;
      if (next_prefill_ < workload_.keys()) send_prefill(slot);
      return;
    }
    const Time now = Clock::now();
    if (measuring_) {
      if (good) {
        ++result_.ok;
        result_.latency[static_cast<std::size_t>(kind)].record(
            static_cast<std::uint64_t>((now - due).count()));
      } else {
        ++result_.errors[status.ok() ? "no answer" : status.message];
      }
    }
    if (!connections_[slot.connection()]->open()) return wait_for_connection(slot);
    free_.push_back(&slot);
    if (options_.rate > 0) {
      if (due_count_ > sent_count_) send_due();
    } else if (!stopped_) {
      send(take(), now);
    }
  }

 private:
  Slot& take() {
    Slot* slot = free_.back();
    free_.pop_back();
    return *slot;
  }

  void send(Slot& slot, Time due) {
    const auto op = workload_.next();
    slot.begin(op.kind, due);
    connections_[slot.connection()]->start(op.path, op.frames, true, slot, options_.metadata);
  }

  // ---- open loop: request number n falls due at start_ + n / rate

  Time due(std::uint64_t n) const {
    return start_ + nanoseconds(static_cast<std::int64_t>(static_cast<double>(n) * 1e9 / options_.rate));
  }

  void send_due() {
    if (stopped_) return;
    const auto elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
    due_count_ = static_cast<std::uint64_t>(elapsed * options_.rate);
    while (sent_count_ < due_count_ && !free_.empty()) send(take(), due(sent_count_++));
  }

  // ---- phases

  void prefill() {
    prefilling_ = true;
    for (auto& slot : slots_) {
      if (next_prefill_ < workload_.keys()) send_prefill(*slot);
    }
    loop_.run_until([this] { return prefilled_ == workload_.keys(); });
    prefilling_ = false;
  }

  void send_prefill(Slot& slot) {
    const auto op = workload_.put(next_prefill_++);
    slot.begin(op.kind, Time());
    connections_[slot.connection()]->start(op.path, op.frames, true, slot, options_.metadata);
  }

  void measure() {
    if (hooks_.measuring) hooks_.measuring();
    measuring_ = true;
    const Time begin = Clock::now();
    Loop::Handle reporter;
    if (hooks_.progress) {
      reporter = loop_.every(milliseconds(500), [&] { hooks_.progress(result_, Clock::now() - begin); });
    }
    loop_.run_until([] { return false; }, begin + options_.duration);
    measuring_ = false;
    result_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (options_.rate > 0) {
      send_due();  // whatever fell due since the last tick counts too, and this process may have stood still
      result_.backlog = due_count_ - sent_count_;
    }
    stopped_ = true;
  }

  // ---- connections

  const Endpoint& endpoint_for(unsigned connection) {
    return options_.endpoints[(connection + failovers_) % options_.endpoints.size()];
  }

  Status connect_now(unsigned c) {
    Status last;
    for (std::size_t tried = 0; tried < options_.endpoints.size(); ++tried, ++failovers_) {
      std::optional<Status> result;
      connections_[c] = std::make_shared<Connection>(loop_);
      connections_[c]->connect(endpoint_for(c), options_.dial_timeout,
                               [&result](const Status& s) { result = s; });
      loop_.run_until([&] { return result.has_value(); });
      if (result && result->ok()) return {};
      last = result.value_or(Status{Code::unavailable, "no connection"});
    }
    return last;
  }

  // The slots of a lost connection rest until there is another.
  void wait_for_connection(Slot& slot) {
    auto& waiting = waiting_[slot.connection()];
    waiting.push_back(&slot);
    if (waiting.size() > 1 || stopped_) return;
    reconnect_soon(slot.connection());
  }

  void reconnect_soon(unsigned c) {
    ++failovers_;
    retry_[c] = loop_.after(kReconnect, [this, c] {
      connections_[c] = std::make_shared<Connection>(loop_);
      connections_[c]->connect(endpoint_for(c), options_.dial_timeout, [this, c](const Status& status) {
        if (!status.ok()) return reconnect_soon(c);
        for (Slot* slot : std::exchange(waiting_[c], {})) {
          free_.push_back(slot);
          if (options_.rate <= 0 && !stopped_) send(take(), Clock::now());
        }
      });
    });
  }

  const LoadOptions& options_;
  const LoadHooks& hooks_;
  Loop loop_;
  Workload workload_;
  LoadResult result_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::shared_ptr<Connection>> connections_;  // before the slots they call go away
  std::vector<Slot*> free_;
  std::map<unsigned, std::vector<Slot*>> waiting_;
  std::map<unsigned, Loop::Handle> retry_;
  std::size_t failovers_ = 0;
  Time start_;
  std::uint64_t due_count_ = 0;
  std::uint64_t sent_count_ = 0;
  std::uint64_t next_prefill_ = 0;
  std::uint64_t prefilled_ = 0;
  bool prefilling_ = false;
  bool measuring_ = false;
  bool stopped_ = false;
};

void Slot::on_end(const Status& status) { generator_.ended(*this, kind_, due_, answered_, status); }

}  // namespace

Histogram LoadResult::all() const {
  Histogram sum;
  for (const auto& one : latency) sum.merge(one);
  return sum;
}

std::uint64_t LoadResult::failed() const {
  std::uint64_t sum = 0;
  for (const auto& [text, count] : errors) sum += count;
  return sum;
}

std::expected<LoadResult, Status> run_load(const LoadOptions& options, const LoadHooks& hooks) {
  return std::make_unique<Generator>(options, hooks)->run();
}

}  // namespace quorate::client
