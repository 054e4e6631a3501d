// Further clients of one state machine, beside those of clients.h: what they do and judge is the model's own.
#pragma once

#include <cstdint>

#include "core/bytes.h"
#include "core/ids.h"
#include "replica/messages.h"

namespace quorate::sim {

class Node;

class Companion {
 public:
  Companion() = default;
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  virtual ~Companion() = default;

  virtual void begin() = 0;
  virtual void wake(std::uint32_t session) = 0;  // an event of kind `companion`
  virtual void stop() = 0;
  [[nodiscard]] virtual bool idle() const = 0;

  // A command that takes effect, when its entry is committed for the first time, in the order of the log.
  virtual void committed(const replica::Command& command, Index index) = 0;
  // A node has left a command half done, and others get their turn.
  virtual void half_done(Node& node) = 0;
  // A client was told the result of its command.
  virtual void answered(const Bytes& command, const Bytes& result) = 0;
  virtual void final_checks() = 0;
};

}  // namespace quorate::sim
