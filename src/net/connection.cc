#include "net/connection.h"

#include <utility>

#include "core/codec.h"

namespace quorate::net {
namespace {

constexpr std::size_t copy_below = 2048;       // bytes: cheaper to copy than to hand to writev by itself
constexpr std::size_t piece_limit = 64 << 10;  // bytes copied into one buffer before the next is begun

}  // namespace

Connection::Connection(std::unique_ptr<Stream> stream, ConnectionOwner& owner,
                       std::shared_ptr<Traffic> traffic, std::size_t max_queued)
    : stream_(std::move(stream)),
      owner_(&owner),
      traffic_(std::move(traffic)),
      max_queued_(max_queued),
      remote_(stream_->remote()),
      reader_(0) {}

void Connection::start() {
  queued_.push_back({std::string(magic), {}});
  queued_bytes_ += magic.size();
  read();
}

bool Connection::send(KeyspaceId keyspace, Bytes payload) {
  if (!open() || closing_) return false;
  const std::size_t size = header_bytes + payload.size();
  // An empty queue takes any frame, so that none is too large to ever pass.
  if (queued_bytes_ != 0 && queued_bytes_ + size > max_queued_) {
    ++traffic_->dropped_frames;
    return false;
  }
  if (queued_.empty() || !queued_.back().shared.empty() || queued_.back().copied.size() > piece_limit) {
    queued_.emplace_back();
  }
  Piece& piece = queued_.back();
  put_header(piece.copied, keyspace, payload.view());
  if (payload.size() < copy_below) {
    piece.copied += payload.view();
  } else {
    piece.shared = std::move(payload);
  }
  queued_bytes_ += size;
  ++traffic_->sent_frames;
  return true;
}

void Connection::send_control(const Control& message) {
  send(KeyspaceId(), codec::encode(message));
  flush();
}

void Connection::flush() {
  if (!open() || queued_.empty() || !writing_.empty()) return;
  writing_ = std::exchange(queued_, {});
  writing_bytes_ = queued_bytes_;
  std::vector<boost::asio::const_buffer> buffers;
  buffers.reserve(writing_.size() * 2);
  for (const auto& piece : writing_) {
    buffers.emplace_back(piece.copied.data(), piece.copied.size());
    if (!piece.shared.empty()) buffers.emplace_back(piece.shared.data(), piece.shared.size());
  }
  stream_->write(buffers, [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
    self->on_written(error, bytes);
  });
}

void Connection::on_written(boost::system::error_code error, std::size_t bytes) {
  if (!open()) return;
  traffic_->sent_bytes += bytes;
  queued_bytes_ -= writing_bytes_;
  writing_.clear();
  if (error) return fail(stream_->reason(error));
  if (closing_ && queued_.empty()) return close();
  flush();
}

void Connection::read() {
  const auto space = reader_.prepare();
  stream_->read_some(space.data, space.size,
                     [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
                       self->on_read(error, bytes);
                     });
}

void Connection::on_read(boost::system::error_code error, std::size_t bytes) {
  if (!open() || closing_) return;  // when closing, the owner may be gone
  if (error) return fail(stream_->reason(error));
  last_received_ = Clock::now();
  traffic_->received_bytes += bytes;
  reader_.commit(bytes);
  while (open() && !closing_) {
    auto incoming = reader_.next();
    if (!incoming) return fail(incoming.error());
    if (!*incoming) break;
    if ((*incoming)->keyspace.none()) {
      auto message = codec::decode<Control>((*incoming)->payload);
      if (!message)
        return fail(std::string("malformed control message: ") + codec::to_string(message.error()));
      owner_->control(*this, std::move(*message));
    } else {
      ++traffic_->received_frames;
      owner_->frame(*this, (*incoming)->keyspace, std::move((*incoming)->payload));
    }
  }
  if (open() && !closing_) read();
}

void Connection::fail(const std::string& reason) {
  if (!open()) return;
  close();
  if (!closing_) owner_->closed(*this, reason);
}

void Connection::close() {
  if (!open()) return;
  open_ = false;
  stream_->close();
}

void Connection::close_after_writing() {
  closing_ = true;
  flush();
  if (open() && writing_.empty()) close();
}

}  // namespace quorate::net
