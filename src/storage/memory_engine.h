// The simulator's state engine: ordered maps in memory, of which a crash keeps what was flushed. A table is
// copied when it is written while a snapshot, a cursor or the flushed state still shares it: cheap for the
// small states of a simulation.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "storage/engine.h"

namespace quorate::storage {

class MemoryHome final : public EngineHome {
 public:
  MemoryHome();
  ~MemoryHome() override;

  // The process dies: what was not flushed is forgotten. Engines opened before keep their own memory and
  // touch this home no more.
  void crash();

  [[nodiscard]] IoResult<std::unique_ptr<Engine>> open_live() override;
  [[nodiscard]] IoResult<std::unique_ptr<Engine>> create_staging() override;
  [[nodiscard]] IoResult<std::unique_ptr<Engine>> open_staging() override;
  [[nodiscard]] IoResult<void> promote_staging() override;
  void discard_staging() override;
  [[nodiscard]] IoResult<void> set_aside_live() override;

  struct Store;  // one engine's memory

 private:
  std::shared_ptr<Store> live_;
  std::shared_ptr<Store> staging_;
};

// An engine of its own, for tests of what stands above.
[[nodiscard]] std::unique_ptr<Engine> make_memory_engine();

}  // namespace quorate::storage
