// What all parts of one run share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/replicated_log.h"
#include "replica/replica.h"
#include "sim/checks.h"
#include "sim/coverage.h"
#include "sim/event_queue.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/read_judge.h"
#include "sim/trace.h"

namespace quorate::sim {

class Ambushes;
class Companion;
class Node;
class Skeptic;

// Settings drawn from the seed, so that small limits and their edges are met often.
struct Tuning {
  replicated_log::Settings settings;
  replica::Config replica;
  std::uint64_t segment_bytes = 64U << 10U;
  Duration sync_time = 200us;  // mean
  Duration flush_time = 1ms;   // mean
  Duration pump_delay{};       // clients' commands are gathered this long
  double lease_reads = 0;      // share of reads
  std::int64_t drift_ppm = 0;  // clocks run at most this much fast or slow
};

struct Stage {
  Stage(const Options& opts, Rng root, const WorkloadModel& workload)
      : options(opts), rng(root), network(root.fork(), {}), model(workload), checks(workload, opts.leaders) {}

  const Options& options;
  Rng rng;
  EventQueue queue;
  Moment now{};
  Network network;
  const WorkloadModel& model;
  Checks checks;
  ReadJudge reads;
  Tuning tuning;
  Trace* trace = nullptr;
  // A client's operation reaches a node; `run` is false if the node dies before it looks at it.
  std::function<void(Node&, std::uint64_t number, bool run)> operation;
  // A node sends another a chunk of a snapshot.
  std::function<void(std::uint32_t from, std::uint32_t to)> chunk_sent;
  Coverage coverage;
  Ambushes* ambushes = nullptr;
  Skeptic* skeptic = nullptr;
  Companion* companion = nullptr;   // none where the model has none
  std::uint64_t leaderships = 0;    // how often a node began to lead
  std::uint64_t rejoined = 0;       // how often one began anew whose log was damaged
  std::uint64_t silent_losses = 0;  // of what a log had made durable, excused by Lies
  Lasting lasting;
  std::uint64_t stamps = 0;  // of processes and timers
  bool halts = false;        // a process said that it must stop, and nobody looked after it yet
  std::uint64_t hash = 0xcbf29ce484222325U;

  void note(std::uint64_t what) { hash = check::combine(hash, what); }
};

}  // namespace quorate::sim
