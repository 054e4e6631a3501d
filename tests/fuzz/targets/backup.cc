// A backup's file, damaged or made up: a damaged one is refused before a single row of it is given; one whose
// checksum holds gives its rows, or is refused for what stands in it.
#include "storage/backup.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <openssl/sha.h>
#include <unistd.h>

#include "choices.h"
#include "fuzz.h"
#include "storage/memory_engine.h"

namespace quorate::fuzz {
namespace {

using namespace storage;

using Rows = std::map<std::pair<Table, std::string>, std::string>;

class BackupFile {
 public:
  BackupFile()
      : path_(std::filesystem::temp_directory_path() / ("quorate-fuzz-backup-" + std::to_string(getpid()))) {}
  ~BackupFile() { std::filesystem::remove(path_); }
  BackupFile(const BackupFile&) = delete;
  BackupFile& operator=(const BackupFile&) = delete;

  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc).write(bytes.data(), std::ssize(bytes));
  }
  std::expected<BackupSummary, std::string> read() {
    return read_backup(path_, [this](Table table, std::string_view key, std::string_view value) {
      ++given;
      rows[{table, std::string(key)}] = value;
    });
  }

  Rows rows;
  std::uint64_t given = 0;

 private:
  std::string path_;
};

std::string with_checksum(std::string body) {
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), sum);
  return body.append(reinterpret_cast<const char*>(sum), sizeof sum);
}

// A file as it is saved, and what is in it.
std::string honest_file(Choices& choices, Rows& rows) {
  MemoryHome home;
  auto engine = home.open_live();
  require(engine.has_value(), "no engine");
  for (auto n = choices.below(20); n > 0; --n) {
    const auto table = static_cast<Table>(choices.below(table_count));
    std::string key(choices.text(6));
    std::string value(choices.below(3) * choices.byte(), static_cast<char>(choices.byte()));
    (*engine)->put(table, key, Bytes::copy(value));
    rows[{table, std::move(key)}] = std::move(value);
  }
  BackupWriter writer((*engine)->snapshot());
  std::string body;
  const auto piece = 1 + choices.below(600);
  while (!writer.done()) writer.fill(body, body.size() + piece);
  return with_checksum(std::move(body));
}

std::string damaged(std::string bytes, Choices& choices) {
  const auto at = choices.raw(2) % bytes.size();
  switch (choices.below(5)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << choices.below(8))); break;
    case 1: bytes.resize(at); break;
    case 2: bytes.replace(at, std::string::npos, bytes.size() - at, '\0'); break;
    case 3: bytes.erase(at, 1 + choices.below(600)); break;
    default: bytes.insert(at, bytes.substr(at / 2, 1 + choices.below(600)));
  }
  return bytes;
}

void damaged_file(Choices& choices) {
  Rows rows;
  const std::string whole = honest_file(choices, rows);
  const std::string bytes = choices.flip() ? damaged(whole, choices) : whole;
  BackupFile file;
  file.write(bytes);
  const auto read = file.read();
  if (bytes == whole) {
    require(read.has_value(), "an honest file is refused");
    require(file.rows == rows && read->rows == rows.size(), "an honest file has other rows");
    require(read->bytes == bytes.size(), "the wrong size is told");
  } else {
    require(!read, "a damaged file is taken");
    require(!read.error().empty(), "a refusal without a reason");
    require(file.given == 0, "rows of a damaged file are given");
  }
}

// The checksum holds, so the reader of rows sees the bytes.
void made_up_file(Choices& choices) {
  std::string body = choices.flip() ? "QUORATE-SNAPSHOT-1\n" : "";
  body += choices.rest();
  BackupFile file;
  file.write(with_checksum(std::move(body)));
  const auto read = file.read();
  if (!read) return require(!read.error().empty(), "a refusal without a reason");
  require(read->rows == file.given, "the wrong number of rows is told");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(backup) {
  quorate::fuzz::Choices choices(input);
  if (choices.flip()) return quorate::fuzz::made_up_file(choices);
  quorate::fuzz::damaged_file(choices);
}
