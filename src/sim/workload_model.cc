#include "sim/workload_model.h"

#include "core/codec.h"
#include "sim/companion.h"
#include "sim/etcd_workload.h"
#include "sim/register_model.h"

namespace quorate::sim {

namespace {

class RegisterWorkload final : public WorkloadModel {
 public:
  [[nodiscard]] std::unique_ptr<models::Model> create() const override { return make_register_model(); }

  [[nodiscard]] Bytes command(const check::Operation& op, std::uint64_t id) const override {
    RegisterCommand command{op.kind, id, Bytes::copy(op.key), Bytes::copy(op.argument), std::nullopt};
    if (op.expected) command.expected = Bytes::copy(*op.expected);
    return codec::encode(command);
  }
  void result(const Bytes& result, check::Operation& op) const override {
    const auto decoded = codec::decode<RegisterResult>(result);
    op.succeeded = decoded && !decoded->malformed && decoded->succeeded;
  }
  [[nodiscard]] std::uint64_t id_of(const Bytes& command) const override {
    const auto decoded = codec::decode<RegisterCommand>(command);
    return decoded ? decoded->id : 0;
  }
  [[nodiscard]] Bytes query(const check::Operation& op) const override { return Bytes::copy(op.key); }
  void answer(const Bytes& answer, check::Operation& op) const override {
    const auto decoded = codec::decode<RegisterResult>(answer);
    op.observed.reset();
    if (decoded && decoded->value) op.observed = decoded->value->str();
  }
};

}  // namespace

std::unique_ptr<Companion> WorkloadModel::companion(Stage&, Rng, std::function<Node*(Rng&)>) const {
  return nullptr;
}

std::unique_ptr<WorkloadModel> make_workload_model(std::string_view name) {
  if (name == "register") return std::make_unique<RegisterWorkload>();
  if (name == "etcd") return make_etcd_workload();
  return nullptr;
}

}  // namespace quorate::sim
