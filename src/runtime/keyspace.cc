#include "runtime/keyspace.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "runtime/clock.h"
#include "runtime/node.h"

namespace quorate::runtime {

KeyspaceId keyspace_id(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return KeyspaceId(hash == 0 ? 1 : hash);
}

Keyspace::Keyspace(Node& node, KeyspaceConfig config, std::unique_ptr<storage::EngineHome> home,
                   std::unique_ptr<storage::Engine> live, Recovered recovered, std::uint64_t seed)
    : node_(node),
      config_(std::move(config)),
      id_(keyspace_id(config_.name)),
      home_(std::move(home)),
      rng_(seed) {
  auto protocol = config_.protocol(config_.settings, std::move(recovered));
  replica::Host& host = *this;
  replica_ = std::make_unique<replica::Replica>(config_.replica, host, std::move(protocol), *home_,
                                                std::move(live), config_.model());
}

template <class F>
void Keyspace::enter(F&& call) {
  dirty_ = true;
  if (inside_) {
    deferred_.emplace_back(std::forward<F>(call));
    return;
  }
  inside_ = true;
  Env env{now(), rng_};
  call(env);
  inside_ = false;
}

void Keyspace::start() {
  enter([this](Env& env) { replica_->start(env); });
}

void Keyspace::receive(NodeId from, const Bytes& frame) {
  enter([this, from, frame](Env& env) { replica_->receive(env, from, frame); });
}

void Keyspace::timer(TimerId id) {
  enter([this, id](Env& env) { replica_->timer(env, id); });
}

void Keyspace::persisted(Ticket upto) {
  enter([this, upto](Env& env) { replica_->persisted(env, upto); });
}

void Keyspace::checkpoint() {
  enter([this](Env& env) { replica_->checkpoint(env); });
}

void Keyspace::propose(Bytes command, replica::Done done) {
  enter([this, command = std::move(command), done = std::move(done)](Env& env) mutable {
    replica_->propose(env, std::move(command), std::move(done));
  });
}

void Keyspace::read(replicated_log::ReadMode mode, replica::ReadDone done) {
  enter(
      [this, mode, done = std::move(done)](Env& env) mutable { replica_->read(env, mode, std::move(done)); });
}

void Keyspace::reconfigure(std::vector<Member> base, std::vector<Member> members, replica::Done done) {
  enter(
      [this, base = std::move(base), members = std::move(members), done = std::move(done)](Env& env) mutable {
        replica_->reconfigure(env, std::move(members), std::move(done), std::move(base));
      });
}

void Keyspace::transfer(NodeId to, replica::Done done) {
  enter(
      [this, to, done = std::move(done)](Env& env) mutable { replica_->transfer(env, to, std::move(done)); });
}

bool Keyspace::turn() {
  if (!std::exchange(dirty_, false)) return false;
  while (!deferred_.empty()) {
    auto call = std::move(deferred_.front());
    deferred_.pop_front();
    enter(std::move(call));
  }
  dirty_ = false;  // what follows proposes all of it
  enter([this](Env& env) { replica_->pump(env); });
  dirty_ = !deferred_.empty();
  return dirty_;
}

void Keyspace::close() {
  if (inside_) return;
  inside_ = true;  // completions that ask for more are answered below
  replica_->close();
  inside_ = false;
  while (!deferred_.empty()) {
    auto call = std::move(deferred_.front());
    deferred_.pop_front();
    enter(std::move(call));
  }
}

void Keyspace::send(NodeId to, Bytes frame) { node_.send(to, id_, std::move(frame)); }
void Keyspace::persist(Ticket ticket, std::vector<Write> writes) {
  node_.persist(id_, ticket, std::move(writes));
}
void Keyspace::applying() { node_.write_log(); }
void Keyspace::set_timer(TimerId id, Instant at) { node_.timers().set({id_, id}, at); }
void Keyspace::cancel_timer(TimerId id) { node_.timers().cancel({id_, id}); }

// A full disk is waited for: until the state is flushed the log is not cut, and that is all that is lost.
void Keyspace::flush_state(Index upto) {
  flush_due_.reset();
  if (node_.free_bytes() < replica_->engine().bytes_unflushed()) return flush_later(upto);
  node_.flush_state(replica_->engine(), [this, upto](const storage::IoResult<void>& flushed) {
    if (!flushed && flushed.error().kind == storage::IoErrorKind::full) return flush_later(upto);
    if (!flushed)
      return node_.halt("the state of keyspace '" + config_.name +
                        "' could not be written: " + flushed.error().what);
    enter([this, upto](Env& env) { replica_->flushed(env, upto); });
  });
}

void Keyspace::flush_later(Index upto) {
  if (std::exchange(flush_waits_, true) == false)
    spdlog::error("keyspace {}: the disk is too full to flush the state; it is tried again", config_.name);
  flush_due_ = upto;
}

void Keyspace::tend() {
  if (flush_due_ && !replica_->settled()) return;
  if (const auto upto = flush_due_) return flush_state(*upto);
  flush_waits_ = false;
}

void Keyspace::await_flush() {
  flush_due_.reset();
  node_.await_flushes();
}

void Keyspace::halt(const std::string& reason) { node_.halt("keyspace '" + config_.name + "': " + reason); }

void Keyspace::warn(const std::string& what) { spdlog::warn("keyspace {}: {}", config_.name, what); }

void Keyspace::leader_changed(NodeId leader, Epoch epoch) {
  leader_ = leader;
  epoch_ = epoch;
  if (leader_observer_) leader_observer_();
  if (leader.none()) {
    spdlog::info("keyspace {}: no leader, epoch {}", config_.name, epoch.value);
    return;
  }
  spdlog::info("keyspace {}: {} leads in epoch {}", config_.name,
               leader == config_.settings.self ? "this node" : "node " + to_string(leader), epoch.value);
}

void Keyspace::membership_changed(const Membership& membership) {
  const Member* self = membership.find(config_.settings.self);
  learner_ = self != nullptr && self->role == Role::learner;
  node_.membership_changed(id_, membership);
}

}  // namespace quorate::runtime
