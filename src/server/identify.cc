#include "server/identify.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "net/join.h"
#include "runtime/holdings.h"
#include "server/restore.h"

namespace quorate::server {
namespace {

using namespace std::chrono_literals;
using Identified = std::expected<runtime::Identity, std::string>;
using Answer = std::expected<net::Invite, std::string>;

// All members, at each of their URLs, are asked in turn: one may lag, and know less than another.
std::vector<Answer> ask_members(const Config& config, NodeId self, std::chrono::milliseconds limit,
                                const std::shared_ptr<tls::Context>& dial_tls) {
  std::vector<Answer> answers;
  for (const auto& [id, info] : config.members) {
    for (const auto& url : info.peer_urls) {
      if (std::ranges::find(config.peer_urls, url) != config.peer_urls.end()) continue;
      answers.push_back(net::ask_to_join(net::parse_address(url).value(),
                                         {.peer_urls = config.peer_urls, .claims = self}, limit, dial_tls));
    }
  }
  return answers;
}

// It would vote a second time, and count for entries that it no longer has.
std::unexpected<std::string> started_before(const Config& config, NodeId id) {
  return std::unexpected(
      "member " + to_string(id) +
      " has already been bootstrapped: it took part before, and what it promised then is not in "
      "the data directory " +
      config.data +
      ". Bring its data back; or remove the member, empty the directory, add it again (etcdctl "
      "member remove, member add) and start it with --initial-cluster-state existing");
}

class Joining {
 public:
  Joining(const Config& config, const std::shared_ptr<tls::Context>& dial_tls)
      : config_(config), dial_tls_(dial_tls) {}

  Identified run() {
    for (;;) {
      if (auto ended = round()) return *std::move(ended);
      std::this_thread::sleep_for(300ms);
    }
  }

 private:
  std::optional<Identified> round() {
    const auto answers = ask_members(config_, config_.id, 2s, dial_tls_);
    const auto is_mine = [&](const Answer& answer) {
      return answer && (config_.id.none() || config_.id == answer->you);
    };
    std::set<NodeId> started;
    for (const auto& answer : answers) {
      if (is_mine(answer) && answer->started) started.insert(answer->you);
    }
    for (const auto& answer : answers) {
      if (!answer) {
        wait_for(answer.error());
      } else if (!is_mine(answer)) {
        wait_for("the cluster has this node as " + to_string(answer->you) + ", not as " +
                 to_string(config_.id));
      } else if (!started.contains(answer->you)) {
        return joined(*answer);
      }
    }
    // Those who lag may not know yet that it was removed, and added as another.
    const auto now = std::chrono::steady_clock::now();
    if (started.empty()) {
      refused_since_.reset();
    } else if (!refused_since_) {
      refused_since_ = now;
    } else if (now - *refused_since_ > 3s) {
      return started_before(config_, *started.begin());
    }
    return std::nullopt;
  }

  Identified joined(const net::Invite& invite) const {
    runtime::Identity identity;
    identity.token = config_.cluster;
    identity.node = invite.you;
    identity.cluster = invite.cluster;
    spdlog::info("joined cluster {} as node {}", identity.cluster.value, identity.node.value);
    return identity;
  }

  void wait_for(const std::string& why) {
    if (std::exchange(last_, why) != why) spdlog::info("waiting to be a member: {}", why);
  }

  const Config& config_;
  const std::shared_ptr<tls::Context>& dial_tls_;
  std::string last_;
  std::optional<std::chrono::steady_clock::time_point> refused_since_;
};

// Whether any of the members can be reached and knows that this one, which holds nothing, took part before;
// nothing if none can be reached.
std::optional<bool> took_part(const Config& config, const runtime::Identity& identity,
                              const std::shared_ptr<tls::Context>& dial_tls) {
  bool reached = false;
  for (const auto& answer : ask_members(config, identity.node, 2s, dial_tls)) {
    if (!answer) {
      spdlog::debug("asking whether this member took part before: {}", answer.error());
      continue;
    }
    if (answer->cluster != identity.cluster) continue;
    if (answer->you == identity.node && answer->started) return true;
    reached = true;
  }
  return reached ? std::optional(false) : std::nullopt;
}

// Nobody can tell when nobody is there, and somebody has to begin. But who has an identity and nothing else
// may have lost it all in what stopped the others, too, and waits for them a while; if it joined, as long as
// it takes: it has no log to begin.
Identified unless_started_before(const Config& config, runtime::Identity identity, bool kept,
                                 const std::shared_ptr<tls::Context>& dial_tls) {
  const auto begun = std::chrono::steady_clock::now();
  for (bool told = false;; std::this_thread::sleep_for(300ms)) {
    const auto answer = took_part(config, identity, dial_tls);
    if (answer && *answer) return started_before(config, identity.node);
    const bool asks_on = !answer && kept && config.members.size() > 1 &&
                         (identity.initial.empty() || std::chrono::steady_clock::now() - begun < 10s);
    if (!asks_on) return identity;
    if (!std::exchange(told, true))
      spdlog::warn(
          "the data directory {} holds this node's identity and no log: asking the other members whether "
          "it took part before",
          config.data);
  }
}

// What can not be looked at may hold it. Of states without a log the node itself tells.
bool holds_anything(const Config& config) {
  const auto log = config.log_directory.empty() ? config.data + "/log" : config.log_directory;
  return runtime::holds_log(log).value_or(true) ||
         runtime::holds_states(config.data + "/state").value_or(true);
}

Identified as_kept(const Config& config, const runtime::Identity& kept) {
  if (kept.token != config.cluster) {
    return std::unexpected("data directory " + config.data + " belongs to cluster \"" + kept.token +
                           "\", the configuration says \"" + config.cluster + "\"");
  }
  if (!config.id.none() && config.id != kept.node && !config.join) {
    return std::unexpected("data directory " + config.data + " belongs to node " + to_string(kept.node) +
                           ", the configuration says " + to_string(config.id) +
                           "; use the directory of this node, or an empty one");
  }
  return kept;
}

}  // namespace

Identified identify(const Config& config, const runtime::DataDirectory& directory,
                    const std::shared_ptr<tls::Context>& dial_tls) {
  if (const auto& kept = directory.identity()) {
    auto identity = as_kept(config, *kept);
    if (!identity || kept->removed || holds_anything(config)) return identity;
    return unless_started_before(config, *std::move(identity), true, dial_tls);
  }
  if (config.join) return Joining(config, dial_tls).run();
  return unless_started_before(config, first_identity(config), false, dial_tls);
}

}  // namespace quorate::server
