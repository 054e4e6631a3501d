#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "cli/printers.h"
#include "cli/snapshot_files.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {
namespace {

constexpr std::size_t kDigestSize = 32;

// A file that appears under its name only when it is whole and on disk.
class NewFile {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)), part_(path_ + ".part") {
    fd_ = open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0) fail("create");
  }
  ~NewFile() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(part_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write");
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void publish() {
    if (fsync(fd_) != 0) fail("flush");
    if (std::rename(part_.c_str(), path_.c_str()) != 0) fail("rename");
    close(fd_);
    fd_ = -1;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Failure{kIo, fmt::format("cannot {} {}: {}", what, part_, std::strerror(errno))};
  }
  std::string path_;
  std::string part_;
  int fd_ = -1;
};

// Checks what has arrived against the SHA-256 that the server appends behind everything else.
class Verifier {
 public:
  Verifier() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(std::string_view bytes) {
    tail_.append(bytes);
    if (tail_.size() <= kDigestSize) return;
    const auto body = tail_.size() - kDigestSize;
    EVP_DigestUpdate(context_.get(), tail_.data(), body);
    tail_.erase(0, body);
  }
  [[nodiscard]] bool good() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
    return tail_ == digest.substr(0, size);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  std::string tail_;
};

int save(Command& command, const std::string& path) {
  const auto client = command.connect();
  const pb::SnapshotRequest request;
  auto stream = expect(client->open(client::rpc::snapshot, &request));
  NewFile file(path);
  Verifier verifier;
  std::uint64_t received = 0;
  std::uint64_t remaining = 1;
  for (;;) {
    auto part = stream.read();
    if (!part && part.error().ok()) break;
    if (!part) throw Failure{kError, "the snapshot broke off: " + part.error().message};
    file.write(part->blob());
    verifier.add(part->blob());
    received += part->blob().size();
    remaining = part->remaining_bytes();
  }
  if (remaining != 0)
    throw Failure{kError, fmt::format("the snapshot is incomplete: {} bytes are missing", remaining)};
  if (!verifier.good())
    throw Failure{kError, "the snapshot was damaged on its way: its SHA-256 does not match"};
  file.publish();
  if (command.format() == Format::json) {
    print(fmt::format("{{\"path\":{},\"size\":{}}}\n", json_string(path), received));
  } else {
    print(fmt::format("Snapshot saved at {}\n", path));
  }
  return kOk;
}

}  // namespace

int snapshot(std::vector<std::string> args) {
  Command command("snapshot", "Copy the whole store into a file, and back.",
                  R"(save: the file appears under its name only when it is complete, checked and on disk.

restore makes a node's data directory from the file: the beginning of a new cluster that holds what the file
holds, with its revisions, history and leases, and knows nothing of the old cluster's members. It is run for
every first member, from the same file, before they are started; members that join later get the state from
them. The directory must not hold a node yet.

status checks the file and tells its hash, revision, keys and size.

EXAMPLES
  quorate snapshot save backup.db
  quorate snapshot save backup.db --endpoints 10.0.0.2:2379   from that server
  quorate snapshot status backup.db -w table
  quorate snapshot restore backup.db --config node1.toml      then: quorate serve --config node1.toml
  quorate snapshot restore backup.db --name n1 --data-dir n1.etcd \
      --initial-cluster n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380 \
      --initial-advertise-peer-urls http://10.0.0.1:2380 --initial-cluster-token after-the-fire)");
  std::string path;
  auto& save_app = command.sub("save", "Save a snapshot.", [&] { return save(command, path); });
  save_app.add_option("path", path, "the file to write")->required();
  RestoreOptions options;
  CLI::App* restore_app = nullptr;
  restore_app = &command.sub("restore", "Make a node's data directory from a snapshot.",
                             [&] { return restore_snapshot(command, *restore_app, options); });
  add_restore_options(*restore_app, options);
  auto& status_app = command.sub("status", "Check a snapshot and tell what it holds.",
                                 [&] { return snapshot_status(command, path); });
  status_app.add_option("path", path, "the file to read")->required();
  return command.run(std::move(args));
}

}  // namespace quorate::cli
