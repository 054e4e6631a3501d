// One peer connection: frames out, coalesced into one write a turn and bounded; frames in. It knows nothing
// of who is on the other side: the handshake is its owner's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/frame.h"
#include "net/stream.h"

namespace quorate::net {

class Connection;

class ConnectionOwner {
 public:
  ConnectionOwner() = default;
  ConnectionOwner(const ConnectionOwner&) = delete;
  ConnectionOwner& operator=(const ConnectionOwner&) = delete;
  virtual ~ConnectionOwner() = default;
  virtual void control(Connection& connection, Control message) = 0;
  virtual void frame(Connection& connection, KeyspaceId keyspace, Bytes payload) = 0;
  virtual void closed(Connection& connection,
                      const std::string& reason) = 0;  // once, unless the owner closed it
};

struct Traffic {
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_frames = 0;
  std::uint64_t received_frames = 0;
  std::uint64_t dropped_frames = 0;  // the queue was full, or nobody was connected
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(std::unique_ptr<Stream> stream, ConnectionOwner& owner, std::shared_ptr<Traffic> traffic,
             std::size_t max_queued);

  void start();  // greets and begins to read

  // Queues a frame; false if the queue is full and the frame is dropped. Nothing is written before flush().
  bool send(KeyspaceId keyspace, Bytes payload);
  void send_control(const Control& message);  // flushes
  void flush();
  void close();                // silently: the owner is not called back
  void close_after_writing();  // the same, once what is queued has gone out; reads nothing more

  // After the handshake: frames of keyspaces may come, and count towards `traffic`.
  void establish(std::size_t max_payload, std::shared_ptr<Traffic> traffic) {
    reader_.set_max_payload(max_payload);
    traffic_ = std::move(traffic);
  }
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] const std::string& remote() const { return remote_; }
  [[nodiscard]] Clock::time_point last_received() const { return last_received_; }
  [[nodiscard]] Clock::time_point opened() const { return opened_; }

 private:
  // Headers and small payloads are copied together, a large payload is shared: few buffers in one write.
  struct Piece {
    std::string copied;
    Bytes shared;
  };

  void read();
  void on_read(boost::system::error_code error, std::size_t bytes);
  void on_written(boost::system::error_code error, std::size_t bytes);
  void fail(const std::string& reason);

  std::unique_ptr<Stream> stream_;  // outlives its operations, which hold the connection
  ConnectionOwner* owner_;
  std::shared_ptr<Traffic> traffic_;
  std::size_t max_queued_;
  std::string remote_;
  FrameReader reader_;
  std::vector<Piece> queued_;
  std::vector<Piece> writing_;
  std::size_t queued_bytes_ = 0;  // in both
  std::size_t writing_bytes_ = 0;
  bool open_ = true;
  bool closing_ = false;
  Clock::time_point opened_ = Clock::now();
  Clock::time_point last_received_ = opened_;
};

}  // namespace quorate::net
