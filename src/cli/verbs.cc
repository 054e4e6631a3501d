#include "cli/verbs.h"

#include <array>

namespace quorate::cli {

std::span<const ClientVerb> client_verbs() {
  static constexpr std::array kVerbs = {
      ClientVerb{"get", "read a key or a range of keys", &get},
      ClientVerb{"put", "store a value under a key", &put},
      ClientVerb{"del", "delete a key or a range of keys", &del},
      ClientVerb{"txn", "compare, then do one list of operations or the other", &txn},
      ClientVerb{"watch", "show changes as they happen", &watch},
      ClientVerb{"lease", "grant, revoke, keep-alive, timetolive, list", &lease},
      ClientVerb{"lock", "hold a lock, or run a command under it", &lock},
      ClientVerb{"elect", "stand for election, or observe one", &elect},
      ClientVerb{"status", "the state of every member", &status},
      ClientVerb{"member", "list, add, remove, update, promote", &member},
      ClientVerb{"endpoint", "status, health, hashkv of each server", &endpoint},
      ClientVerb{"move-leader", "hand leadership to another member", &move_leader},
      ClientVerb{"snapshot", "save the whole store to a file, restore, status", &snapshot},
      ClientVerb{"compaction", "forget the history before a revision", &compaction},
      ClientVerb{"defrag", "give freed space back", &defrag},
      ClientVerb{"alarm", "list or disarm alarms", &alarm},
      ClientVerb{"bench", "load a cluster and measure it", &bench},
      ClientVerb{"completion", "shell completion for bash, zsh, fish", &completion},
  };
  return kVerbs;
}

}  // namespace quorate::cli
