#include "api/etcd/snapshot.h"

#include <openssl/evp.h>

#include "api/etcd/maintenance.h"
#include "storage/backup.h"

namespace quorate::api::etcd {

namespace {

constexpr std::size_t blob_bytes = 32U << 10U;

struct DigestDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class SnapshotStream final : public http::CallStream {
 public:
  SnapshotStream(Core& core, http::Call& call)
      : call_(&call),
        state_(core.backend().engine().snapshot()),
        total_estimate_(core.backend().engine().bytes_in_use()),
        digest_(EVP_MD_CTX_new()) {
    core.fill(header_);
    EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
  }

  void writable() override { pump(); }

  void pump() {
    while (call_->has_room()) {
      if (sent_all_) return finish();
      if (!state_.done()) state_.fill(buffer_, blob_bytes);
      send_blob();
    }
  }

 private:
  void send_blob() {
    const std::string_view blob = std::string_view(buffer_).substr(at_, blob_bytes);
    EVP_DigestUpdate(digest_.get(), blob.data(), blob.size());
    sent_ += blob.size();
    at_ += blob.size();
    const bool last = state_.done() && at_ == buffer_.size();
    // What remains is not known before it is read; clients show it, and stop at the end of the stream. It is
    // an estimate, never 0 before the last blob.
    const std::uint64_t left = last ? 0 : total_estimate_ > sent_ ? total_estimate_ - sent_ : 1;
    etcdserverpb::SnapshotResponse response;
    *response.mutable_header() = header_;
    response.set_remaining_bytes(left);
    response.set_blob(blob.data(), blob.size());
    response.set_version(server_version);
    Core::send(*call_, response);
    if (buffer_.size() - at_ < blob_bytes) {
      buffer_.erase(0, at_);
      at_ = 0;
    }
    sent_all_ = last;
  }

  void finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_.get(), hash.data(), &size);
    etcdserverpb::SnapshotResponse response;
    *response.mutable_header() = header_;
    response.set_blob(hash.data(), size);
    response.set_version(server_version);
    Core::reply(*call_, response);  // ends the call, and with it this
  }

  http::Call* call_;
  storage::BackupWriter state_;
  std::uint64_t total_estimate_;
  std::unique_ptr<EVP_MD_CTX, DigestDeleter> digest_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t sent_ = 0;
  bool sent_all_ = false;
  etcdserverpb::ResponseHeader header_;
};

}  // namespace

void send_snapshot(Core& core, const CallPtr& call) {
  auto stream = std::make_unique<SnapshotStream>(core, *call);
  SnapshotStream& pumped = *stream;
  call->attach(std::move(stream));
  if (call->open()) pumped.pump();
}

}  // namespace quorate::api::etcd
