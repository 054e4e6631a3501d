#include "sim/register_model.h"

#include <string>

#include <xxhash.h>

#include "core/codec.h"

namespace quorate::sim {

namespace {

constexpr storage::Table registers{1};

// Adding up the hashes of all pairs makes a digest of the set that follows single changes.
std::uint64_t pair_hash(std::string_view key, std::string_view value) {
  return XXH3_64bits_withSeed(value.data(), value.size(), XXH3_64bits(key.data(), key.size()));
}

class RegisterModel final : public models::Model {
 public:
  void open(storage::Engine& state) override {
    state_ = &state;
    sum_ = 0;
    auto cursor = state.cursor(registers);
    for (cursor->seek(""); cursor->valid(); cursor->next()) sum_ += pair_hash(cursor->key(), cursor->value());
  }

  Bytes apply(const Bytes& bytes, storage::Transaction& txn) override {
    const auto command = codec::decode<RegisterCommand>(bytes);
    if (!command) return codec::encode(RegisterResult{.malformed = true, .value = {}});
    const std::string_view key = command->key.view();
    std::string current;
    const bool there = txn.get(registers, key, current);
    RegisterResult result{.succeeded = true, .value = {}};
    switch (command->kind) {
      case check::OpKind::put: replace(txn, key, there, current, command->argument.str()); break;
      case check::OpKind::append: replace(txn, key, there, current, current + command->argument.str()); break;
      case check::OpKind::cas:
        result.succeeded = command->expected ? there && command->expected->view() == current : !there;
        if (result.succeeded) replace(txn, key, there, current, command->argument.str());
        break;
      case check::OpKind::erase:
        result.succeeded = there;
        if (there) {
          sum_ -= pair_hash(key, current);
          txn.erase(registers, key);
        }
        break;
      case check::OpKind::get: result.malformed = true; break;
    }
    return codec::encode(result);
  }

  void committed(Index) override {}
  std::optional<Bytes> periodic(const models::ClockReading&) override { return std::nullopt; }

  Bytes query(const Bytes& request) override {
    RegisterResult result{.succeeded = true, .value = {}};
    std::string value;
    if (state_->get(registers, request.view(), value)) result.value = Bytes::adopt(std::move(value));
    return codec::encode(result);
  }

  [[nodiscard]] Bytes digest() const override { return codec::encode(sum_); }

 private:
  void replace(storage::Transaction& txn, std::string_view key, bool there, std::string_view old,
               std::string value) {
    if (there) sum_ -= pair_hash(key, old);
    sum_ += pair_hash(key, value);
    txn.put(registers, key, std::move(value));
  }

  storage::Engine* state_ = nullptr;
  std::uint64_t sum_ = 0;
};

}  // namespace

std::unique_ptr<models::Model> make_register_model() { return std::make_unique<RegisterModel>(); }

}  // namespace quorate::sim
