#include "storage/backup.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <utility>

#include <openssl/evp.h>

namespace quorate::storage {
namespace {

constexpr std::size_t page = 512;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t piece_bytes = 256U << 10U;
constexpr std::string_view magic = "QUORATE-SNAPSHOT-1\n";
constexpr char end_of_rows = '\xFF';

void append_varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7U) out += static_cast<char>(v | 0x80U);
  out += static_cast<char>(v);
}

// The part of a file in front of its checksum, a piece at a time.
class Source {
 public:
  explicit Source(const std::string& path) : file_(path, std::ios::binary | std::ios::ate) {
    if (!file_) return;
    size_ = static_cast<std::uint64_t>(file_.tellg());
    rewind();
  }
  [[nodiscard]] bool open() const { return file_.is_open(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t left() const { return left_; }

  void rewind() {
    file_.clear();
    file_.seekg(0);
    left_ = size_ < digest_bytes ? 0 : size_ - digest_bytes;
  }
  // False if there are not so many, or the disk does not give them.
  bool take(std::size_t bytes, std::string& to) {
    if (bytes > left_) return false;
    to.resize(bytes);
    left_ -= bytes;
    return static_cast<bool>(file_.read(to.data(), static_cast<std::streamsize>(bytes)));
  }
  bool take_varint(std::uint64_t& v) {
    v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      std::string byte;
      if (!take(1, byte)) return false;
      v |= static_cast<std::uint64_t>(static_cast<unsigned char>(byte[0]) & 0x7FU) << shift;
      if ((static_cast<unsigned char>(byte[0]) & 0x80U) == 0) return true;
    }
    return false;
  }
  bool take_text(std::string& to) {
    std::uint64_t length = 0;
    return take_varint(length) && length <= left_ && take(length, to);
  }
  std::string digest() {  // what stands behind
    std::string found(digest_bytes, '\0');
    file_.seekg(static_cast<std::streamoff>(size_ - digest_bytes));
    file_.read(found.data(), digest_bytes);
    return found;
  }

 private:
  std::ifstream file_;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;
};

bool checksum_matches(Source& source) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::string piece;
  while (source.left() > 0) {
    if (!source.take(std::min<std::uint64_t>(piece_bytes, source.left()), piece)) return false;
    EVP_DigestUpdate(context.get(), piece.data(), piece.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), sum.data(), &size);
  return source.digest() == std::string_view(reinterpret_cast<const char*>(sum.data()), size);
}

// The number of rows; nothing if what stands there is not as the format has it.
std::optional<std::uint64_t> read_rows(Source& source, const RowVisitor& visit) {
  std::string table;
  std::string key;
  std::string value;
  std::uint64_t rows = 0;
  while (source.take(1, table)) {
    if (table[0] == end_of_rows) {
      std::string rest;
      if (source.left() < 8 || !source.take(source.left() - 8, rest) || !source.take(8, rest)) return {};
      std::uint64_t said = 0;
      for (unsigned i = 0; i < 8; ++i)
        said |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest[i])) << (8 * i);
      return said == rows ? std::optional(rows) : std::nullopt;
    }
    const auto number = static_cast<unsigned char>(table[0]);
    if (number >= table_count || !source.take_text(key) || !source.take_text(value)) return {};
    visit(static_cast<Table>(number), key, value);
    ++rows;
  }
  return {};
}

}  // namespace

BackupWriter::BackupWriter(std::shared_ptr<const Reader> state) : state_(std::move(state)) { open_table(); }

void BackupWriter::open_table() {
  cursor_ = state_->cursor(static_cast<Table>(table_));
  cursor_->seek({});
}

void BackupWriter::fill(std::string& out, std::size_t bytes) {
  const std::size_t before = out.size();
  if (told_ == 0) out.append(magic);
  while (out.size() < bytes && table_ < table_count) {
    if (cursor_->valid()) {
      append_row(out);
    } else if (++table_ < table_count) {
      open_table();
    }
  }
  told_ += out.size() - before;
  if (table_ == table_count && !std::exchange(done_, true)) close(out);
}

void BackupWriter::append_row(std::string& out) {
  out += static_cast<char>(table_);
  append_varint(out, cursor_->key().size());
  out.append(cursor_->key());
  append_varint(out, cursor_->value().size());
  out.append(cursor_->value());
  ++rows_;
  cursor_->next();
}

// etcdctl takes 32 bytes behind a multiple of 512 for the checksum.
void BackupWriter::close(std::string& out) {
  out += end_of_rows;
  const std::size_t upto = told_ + 1 + 8;
  out.append((page - upto % page) % page, '\0');
  for (unsigned i = 0; i < 8; ++i) out += static_cast<char>(rows_ >> (8 * i));
  cursor_.reset();
}

std::expected<BackupSummary, std::string> read_backup(const std::string& path, const RowVisitor& visit) {
  Source source(path);
  if (!source.open()) return std::unexpected(path + ": it can not be read");
  std::string begins;
  if (!source.take(magic.size(), begins) || begins != magic) {
    return std::unexpected(
        path +
        ": this is no snapshot of Quorate. (etcd's own hold a bbolt file; to bring its data "
        "here, run `etcdctl make-mirror` from a running etcd.)");
  }
  source.rewind();
  if (!checksum_matches(source))
    return std::unexpected(path + ": it is damaged or cut off: its SHA-256 does not match");
  source.rewind();
  (void)source.take(magic.size(), begins);
  const auto rows = read_rows(source, visit);
  if (!rows) return std::unexpected(path + ": its checksum is right, but what it holds is not a snapshot");
  return BackupSummary{*rows, source.size()};
}

}  // namespace quorate::storage
