// The changes that a state machine makes while it applies one committed batch. They are in the engine at
// once, so that commands see what those before them wrote; the host begins no flush before the batch is
// through, so that a crash keeps all of them or none.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/engine.h"

namespace quorate::storage {

class Transaction final : public Reader {
 public:
  explicit Transaction(Engine& engine) : engine_(&engine) {}

  void put(Table table, std::string_view key, Bytes value) { engine_->put(table, key, std::move(value)); }
  void put(Table table, std::string_view key, std::string value) {
    put(table, key, Bytes::adopt(std::move(value)));
  }
  void erase(Table table, std::string_view key) { engine_->erase(table, key); }
  bool get(Table table, std::string_view key, std::string& value) const override {
    return engine_->get(table, key, value);
  }
  // Invalidated by put and erase.
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override { return engine_->cursor(table); }

 private:
  Engine* engine_;
};

}  // namespace quorate::storage
