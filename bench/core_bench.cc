// The core alone, without disk, sockets and clocks: three members of a protocol joined by a queue, the codec,
// and the etcd model over its memtable. Allocations are counted, since they are what is left when all else is
// lean.
//   core_bench --benchmark_filter=Replicate
#include <atomic>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "core/replicated_log.h"
#include "models/etcd/etcd_model.h"
#include "registry/registry.h"
#include "replica/messages.h"
#include "storage/memory_engine.h"
#include "storage/transaction.h"

namespace {

std::uint64_t allocations = 0;  // the benchmarks have one thread

}  // namespace

// Kept out of line, or the compiler takes the pair for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace quorate;
namespace rl = replicated_log;

// Members whose messages arrive and whose writes are durable as soon as the queue comes to them.
class Members {
 public:
  Members(const std::string& protocol, std::uint64_t count) {
    rl::Settings settings;
    for (std::uint64_t id = 1; id <= count; ++id)
      settings.initial.members.push_back({NodeId(id), Role::voter, {}});
    for (std::uint64_t id = 1; id <= count; ++id) {
      settings.self = NodeId(id);
      members_.push_back({registry::find(protocol).value()->make(settings, {})});
      Env env{now_, rng_};
      members_.back().protocol->start(env);
      take(members_.size() - 1);
    }
  }

  // The first timers that come due make a leader of the member they belong to.
  bool elect() {
    for (int round = 0; round < 10'000 && leader_.none(); ++round) {
      now_ += Duration(1'000'000);
      for (std::size_t at = 0; at < members_.size(); ++at) {
        for (auto timer = members_[at].timers.begin(); timer != members_[at].timers.end();) {
          if (timer->second > now_) {
            ++timer;
            continue;
          }
          const TimerId id = timer->first;
          timer = members_[at].timers.erase(timer);
          step(at, TimerFired{id});
          timer = members_[at].timers.begin();
        }
      }
      settle();
    }
    return !leader_.none();
  }

  void propose(const std::vector<Bytes>& payloads) {
    step(leader_.value - 1, Ask<rl::Request>{rl::Propose{++proposals_, payloads}});
    settle();
  }
  // What every member has applied is durable there: its log may be cut.
  void cut_logs() {
    for (std::size_t at = 0; at < members_.size(); ++at) {
      step(at, Ask<rl::Request>{rl::SnapshotAvailable{{members_[at].committed, Epoch(1), {}, {}}}});
    }
    settle();
  }
  [[nodiscard]] std::uint64_t committed() const { return members_[leader_.value - 1].committed.value; }

 private:
  struct Member {
    std::unique_ptr<rl::Protocol> protocol;
    std::map<TimerId, Instant> timers = {};
    Index committed = {};
  };
  struct Packet {
    std::size_t from;
    NodeId to;
    Bytes message;
  };

  void step(std::size_t at, rl::Protocol::In input) {
    Env env{now_, rng_};
    members_[at].protocol->step(env, std::move(input));
    take(at);
  }

  void take(std::size_t at) {
    Ticket durable;
    for (auto& effect : members_[at].protocol->take()) {
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        wire_.push_back({at, send->to, std::move(send->message)});
      } else if (auto* persist = std::get_if<Persist>(&effect)) {
        durable = persist->ticket;
      } else if (auto* timer = std::get_if<SetTimer>(&effect)) {
        members_[at].timers[timer->id] = timer->at;
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        members_[at].timers.erase(cancel->id);
      } else {
        on_event(at, std::get<Emit<rl::Event>>(effect).event);
      }
    }
    if (!durable.none()) step(at, Persisted{durable});
  }

  void on_event(std::size_t at, const rl::Event& event) {
    if (const auto* committed = std::get_if<rl::Committed>(&event)) {
      members_[at].committed = committed->entries.back().index;
    } else if (const auto* changed = std::get_if<rl::LeaderChanged>(&event)) {
      if (changed->leader == NodeId(at + 1)) leader_ = changed->leader;
    }
  }

  void settle() {
    while (!wire_.empty()) {
      Packet packet = std::move(wire_.front());
      wire_.pop_front();
      step(packet.to.value - 1, Receive<Bytes>{NodeId(packet.from + 1), std::move(packet.message)});
    }
  }

  Rng rng_{1};
  Instant now_{};
  std::vector<Member> members_;
  std::deque<Packet> wire_;
  NodeId leader_;
  std::uint64_t proposals_ = 0;
};

// Entries committed by three members, all of them run by this one core, their messages encoded.
void Replicate(benchmark::State& state, const std::string& protocol) {
  Members members(protocol, 3);
  if (!members.elect()) return state.SkipWithError("no leader");
  const std::vector<Bytes> batch(static_cast<std::size_t>(state.range(0)),
                                 Bytes::adopt(std::string(static_cast<std::size_t>(state.range(1)), 'x')));
  const std::uint64_t before = members.committed();
  const std::uint64_t allocated = allocations;
  int rounds = 0;
  for (auto _ : state) {
    members.propose(batch);
    if (++rounds % 64 == 0) members.cut_logs();
  }
  const auto entries = static_cast<double>(members.committed() - before);
  if (entries < static_cast<double>(state.iterations())) return state.SkipWithError("not committed");
  state.SetItemsProcessed(static_cast<std::int64_t>(entries));
  state.counters["allocations/entry"] = static_cast<double>(allocations - allocated) / entries;
}
BENCHMARK_CAPTURE(Replicate, raft, "raft")
    ->ArgNames({"batch", "bytes"})
    ->Args({1, 16})
    ->Args({64, 16})
    ->Args({64, 256});
BENCHMARK_CAPTURE(Replicate, paxos, "paxos")->ArgNames({"batch", "bytes"})->Args({1, 16})->Args({64, 16});

replica::CommandBatch commands(std::int64_t count, std::int64_t bytes) {
  replica::CommandBatch batch;
  const Bytes body = Bytes::adopt(std::string(static_cast<std::size_t>(bytes), 'x'));
  for (std::int64_t i = 0; i < count; ++i) {
    batch.commands.push_back({{NodeId(1), 1, static_cast<std::uint64_t>(i + 1)}, 0, body});
  }
  return batch;
}

void Encode(benchmark::State& state) {
  const auto batch = commands(64, state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const Bytes encoded = codec::encode(batch);
    bytes += encoded.size();
    benchmark::DoNotOptimize(encoded.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(Encode)->ArgNames({"bytes"})->Arg(16)->Arg(256);

void Decode(benchmark::State& state) {
  const Bytes encoded = codec::encode(commands(64, state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(codec::decode<replica::CommandBatch>(encoded));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(encoded.size()));
}
BENCHMARK(Decode)->ArgNames({"bytes"})->Arg(16)->Arg(256);

// Puts of 256 bytes to so many keys, in batches of 64.
void Put(benchmark::State& state) {
  namespace etcd = models::etcd;
  const auto engine = storage::make_memory_engine();
  const auto model = etcd::EtcdModel::create();
  model->open(*engine);
  std::vector<Bytes> puts;
  for (std::int64_t key = 0; key < state.range(0); ++key) {
    etcdserverpb::PutRequest put;
    put.set_key("key/" + std::to_string(key * 7919 % state.range(0)));
    put.set_value(std::string(256, 'x'));
    puts.push_back(etcd::command(etcd::Op::put, put.SerializeAsString()));
  }
  std::size_t next = 0;
  std::uint64_t applied = 0;
  const std::uint64_t allocated = allocations;
  for (auto _ : state) {
    storage::Transaction txn(*engine);
    for (int i = 0; i < 64; ++i) {
      benchmark::DoNotOptimize(model->apply(puts[next], txn));
      next = (next + 1) % puts.size();
    }
    model->settle(txn);
    model->committed(Index(++applied));
  }
  state.SetItemsProcessed(state.iterations() * 64);
  state.counters["allocations/put"] =
      static_cast<double>(allocations - allocated) / static_cast<double>(state.iterations() * 64);
}
BENCHMARK(Put)->ArgNames({"keys"})->Arg(1000)->Arg(100'000)->Iterations(4000);

}  // namespace

BENCHMARK_MAIN();
