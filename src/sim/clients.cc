#include "sim/clients.h"

#include <algorithm>

#include <fmt/format.h>

#include "sim/companion.h"
#include "sim/draw.h"

namespace quorate::sim {

namespace {
// A command's id: its place in the history, from 1.
std::uint64_t id_of(std::size_t at) { return at + 1; }
}  // namespace

Clients::Clients(Stage& stage, Rng rng, std::uint32_t count, std::uint32_t keys, Duration think,
                 std::uint32_t most, Pick pick)
    : stage_(&stage),
      keys_(keys),
      think_(think),
      most_(most),
      pick_(std::move(pick)),
      lull_rng_(rng.fork()),
      lulls_(lull_rng_.chance(0.4)) {
  for (std::uint32_t i = 0; i < count; ++i) clients_.push_back({.rng = rng.fork()});
  history_.reserve(most + 64);
  stage.operation = [this](Node& node, std::uint64_t at, bool run) { operate(node, at, run); };
}

void Clients::begin() {
  for (std::uint32_t i = 0; i < clients_.size(); ++i) again(i);
}

void Clients::demand(Node& node) {
  for (const Client& client : clients_) {
    if (client.only == &node && !client.steady) return;
  }
  clients_.push_back({.rng = stage_->rng.fork(), .only = &node});
  again(static_cast<std::uint32_t>(clients_.size() - 1));
}

void Clients::demand_again() {
  for (Client& client : clients_) {
    if (client.only != nullptr && client.done) client.only = nullptr;
  }
}

void Clients::burst(Node& node, unsigned count) {
  for (; count != 0 && issued_ < most_ && node.up() && !node.halted(); --count) {
    clients_.push_back({.rng = stage_->rng.fork(), .once = true});
    issue(static_cast<std::uint32_t>(clients_.size() - 1), node);
  }
}

void Clients::load(Node& node, Duration pause) {
  clients_.push_back({.rng = stage_->rng.fork(), .only = &node, .steady = true, .pause = pause});
  again(static_cast<std::uint32_t>(clients_.size() - 1));
}

bool Clients::met(const Node& node) const {
  return std::ranges::any_of(clients_, [&](const Client& c) { return c.only == &node && c.done; });
}

std::string Clients::unmet(const std::vector<Node*>& nodes) const {
  std::string out;
  for (const Client& client : clients_) {
    if (client.only != nullptr && !client.done && !client.steady &&
        std::ranges::find(nodes, client.only) != nodes.end()) {
      out += fmt::format("{}node {} {}", out.empty() ? "" : ", ", client.only->id().value,
                         client.wrote ? "no read" : "no write");
    }
  }
  return out;
}

void Clients::again(std::uint32_t client) {
  const Duration think = clients_[client].only != nullptr ? clients_[client].pause : think_;
  const Moment at = stage_->now + exponential(clients_[client].rng, think);
  stage_->queue.push(at, {EventKind::client, 0, 0, client, {}});
}

void Clients::wake(std::uint32_t client) {
  Client& c = clients_[client];
  if (c.waiting || c.done || stopped_) return;
  if (c.only == nullptr && issued_ >= most_) return;
  Node* node = c.only != nullptr ? c.only : pick_(c.rng);
  if (node == nullptr || !node->up() || node->halted()) return again(client);
  issue(client, *node);
}

bool Clients::lull() {
  while (lulls_ && stage_->now >= lull_until_) {
    lull_ = !lull_;
    lull_until_ = stage_->now + log_uniform(lull_rng_, 100ms, 800ms);
  }
  return lull_;
}

check::Operation Clients::draw(std::uint32_t client) {
  using check::OpKind;
  Client& c = clients_[client];
  check::Operation op{.client = client};
  op.key = std::string(1, static_cast<char>('a' + c.rng.below(keys_)));
  const double choice = c.rng.unit();
  if (c.only != nullptr) {
    op.kind = c.wrote ? OpKind::get : OpKind::put;
  } else {
    op.kind = choice < 0.4    ? OpKind::get
              : choice < 0.6  ? OpKind::append
              : choice < 0.78 ? OpKind::put
              : choice < 0.94 ? OpKind::cas
                              : OpKind::erase;
  }
  if (c.only == nullptr && lull()) op.kind = OpKind::get;
  if (op.kind == OpKind::append && !stage_->model.appends()) op.kind = OpKind::put;
  if (op.kind != OpKind::get && op.kind != OpKind::erase)
    op.argument = std::to_string(id_of(history_.size())) + '.' + std::to_string(client) + ';';
  if (op.kind == OpKind::cas && !history_.empty()) {
    // Mostly a value this key was lately seen or given, or the swap would never be made.
    for (std::size_t back = history_.size(), looked = 0; back != 0 && looked < 8; --back, ++looked) {
      const auto& earlier = history_[back - 1];
      if (earlier.key != op.key) continue;
      if (earlier.kind == OpKind::get && earlier.returned) {
        op.expected = earlier.observed;
        break;
      }
      if (earlier.kind == OpKind::put || earlier.kind == OpKind::cas) {
        op.expected = earlier.argument;
        break;
      }
    }
  }
  return op;
}

void Clients::issue(std::uint32_t client, Node& node) {
  const std::size_t at = history_.size();
  history_.push_back(draw(client));
  void_.push_back(false);
  history_[at].invoked = ++position_;
  clients_[client].waiting = true;
  ++open_;
  if (clients_[client].only == nullptr) ++issued_;
  if (stage_->trace != nullptr) {
    Trace::Line(*stage_->trace, stage_->now, "invoke")
        .field("client", client)
        .field("node", node.id().value)
        .field("operation", to_string(history_[at]));
  }
  node.operate(at);
}

void Clients::operate(Node& node, std::size_t at, bool run) {
  const auto client = static_cast<std::uint32_t>(history_[at].client);
  if (!run) return end(client, at, End::unknown);
  history_[at].kind == check::OpKind::get ? read(client, node, at) : write(client, node, at);
  if (!node.up()) return;
  node.gather();
  node.settle();
}

void Clients::write(std::uint32_t client, Node& node, std::size_t at) {
  Env env = node.env();
  const Bytes command = stage_->model.command(history_[at], id_of(at));
  auto done = [this, client, at, command](replica::Outcome<Bytes> outcome) {
    if (!outcome) return end(client, at, of(outcome.error()));
    if (stage_->companion != nullptr) stage_->companion->answered(command, *outcome);
    stage_->model.result(*outcome, history_[at]);
    stage_->checks.acknowledged(id_of(at));
    end(client, at, End::answered);
  };
  node.replica().propose(env, command, std::move(done));
}

void Clients::read(std::uint32_t client, Node& node, std::size_t at) {
  Env env = node.env();
  const bool lease = clients_[client].rng.chance(stage_->tuning.lease_reads);
  const auto mode = lease ? replicated_log::ReadMode::lease : replicated_log::ReadMode::quorum;
  auto done = [this, client, at, &node](replica::Outcome<Index> outcome) {
    if (!outcome) return end(client, at, of(outcome.error()));
    stage_->model.answer(node.replica().model().query(stage_->model.query(history_[at])), history_[at]);
    history_[at].index = outcome->value;
    end(client, at, End::answered);
  };
  node.replica().read(env, mode, std::move(done));
}

Clients::End Clients::of(replica::Failure failure) {
  switch (failure) {
    case replica::Failure::timed_out:
    case replica::Failure::stopping: return End::unknown;
    default: return End::nothing;
  }
}

void Clients::end(std::uint32_t client, std::size_t at, End how) {
  Client& c = clients_[client];
  c.waiting = false;
  --open_;
  check::Operation& op = history_[at];
  if (how == End::answered) {
    op.returned = ++position_;
    ++acknowledged_;
    if (c.only != nullptr && !c.steady) {
      if (op.kind == check::OpKind::get) {
        c.done = true;
      }
      c.wrote = true;
    }
  } else if (how == End::nothing) {
    void_[at] = true;
    if (op.kind != check::OpKind::get) stage_->checks.refused(id_of(at));
  } else {
    ++unknown_;
  }
  stage_->note(at * 4 + static_cast<std::uint64_t>(how));
  if (stage_->trace != nullptr) {
    Trace::Line line(*stage_->trace, stage_->now, "return");
    line.field("client", client);
    line.field("operation", how == End::nothing ? to_string(op) + ", did not happen" : to_string(op));
  }
  if (!clients_[client].once) again(client);
}

check::History Clients::judged() const {
  check::History out;
  out.reserve(history_.size());
  for (std::size_t i = 0; i < history_.size(); ++i) {
    if (void_[i]) continue;
    out.push_back(history_[i]);
    if (out.back().kind == check::OpKind::get) continue;
    const auto place = stage_->checks.place_of(id_of(i));
    out.back().index = place.index.value;
    out.back().rank = place.rank;
  }
  return out;
}

}  // namespace quorate::sim
