// What the simulator must know of a state machine to drive it with clients and to judge what they saw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "check/history.h"
#include "core/bytes.h"
#include "core/rng.h"
#include "models/model.h"

namespace quorate::sim {

class Companion;
class Node;
struct Stage;

class WorkloadModel {
 public:
  WorkloadModel() = default;
  WorkloadModel(const WorkloadModel&) = delete;
  WorkloadModel& operator=(const WorkloadModel&) = delete;
  virtual ~WorkloadModel() = default;

  [[nodiscard]] virtual std::unique_ptr<models::Model> create() const = 0;
  [[nodiscard]] virtual bool appends() const { return true; }  // has an append operation
  // A write as a command that carries `id` (which its argument begins with), and its result put into the
  // operation.
  [[nodiscard]] virtual Bytes command(const check::Operation& op, std::uint64_t id) const = 0;
  virtual void result(const Bytes& result, check::Operation& op) const = 0;
  // The id of a command seen in the log; 0 if it has none.
  [[nodiscard]] virtual std::uint64_t id_of(const Bytes& command) const = 0;
  // Further clients, of the model's own kind; none by default. `pick` names a node that is up.
  [[nodiscard]] virtual std::unique_ptr<Companion> companion(Stage& stage, Rng rng,
                                                             std::function<Node*(Rng&)> pick) const;
  // A read.
  [[nodiscard]] virtual Bytes query(const check::Operation& op) const = 0;
  virtual void answer(const Bytes& answer, check::Operation& op) const = 0;
};

// By name; null if there is no such model.
std::unique_ptr<WorkloadModel> make_workload_model(std::string_view name);

}  // namespace quorate::sim
