// Uncommitted changes over an engine, read as one: commands of one batch see what those before them wrote,
// and the whole batch reaches the engine in one atomic write.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "storage/engine.h"

namespace quorate::storage {

class Transaction final : public Reader {
 public:
  explicit Transaction(const Reader& base) : base_(&base) {}

  void put(Table table, std::string_view key, std::string value);
  void erase(Table table, std::string_view key);
  bool get(Table table, std::string_view key, std::string& value) const override;
  // Sees base and changes merged in key order. Invalidated by put and erase.
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override;

  [[nodiscard]] Batch take();  // the changes, in key order by table; the transaction is empty afterwards
  [[nodiscard]] bool empty() const;

 private:
  using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;  // nullopt: erased
  const Reader* base_;
  std::array<Changes, table_count> changes_;
};

}  // namespace quorate::storage
