// One stream of an HTTP/2 connection, and the pool they come from: a stream in steady state allocates
// nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "api/http/exchange.h"

namespace quorate::http {

class Http2Session;

class Http2Stream final : public Exchange {
 public:
  Http2Stream() = default;

  [[nodiscard]] Version version() const override { return Version::http2; }
  [[nodiscard]] std::string_view method() const override { return text(method_); }
  [[nodiscard]] std::string_view target() const override { return text(target_); }
  [[nodiscard]] std::string_view header(std::string_view lower_name) const override;

  void respond(int status, std::span<const Field> fields, bool end) override;
  void write(Piece piece) override;
  void finish(std::span<const Field> trailers) override;
  void abort() override;
  void set_deadline(Clock::time_point at) override;

 private:
  friend class Http2Session;
  friend class StreamPool;
  struct Part {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
  };
  [[nodiscard]] std::string_view text(Part part) const {
    return std::string_view(head_).substr(part.at, part.size);
  }
  Part keep(std::string_view value);
  void open(Http2Session& session, std::int32_t id);
  void reset();

  void add_header(std::string_view name, std::string_view value);
  ssize_t read(std::uint8_t* to, std::size_t room, std::uint32_t* flags);
  void submit_trailers();

  Http2Session* session_ = nullptr;
  std::int32_t id_ = 0;
  std::size_t slot_ = 0;  // in the session's list
  std::string head_;      // text of the request's head
  Part method_;
  Part target_;
  std::vector<std::pair<Part, Part>> headers_;
  std::vector<Piece> queue_;
  std::size_t queue_at_ = 0;  // first piece not taken in full
  std::size_t piece_at_ = 0;  // taken of it
  std::string trailer_text_;
  struct Trailer {
    Field field;
    Part name, value;
  };
  std::vector<Trailer> trailers_;
  bool deferred_ = false;  // the data provider waits for resume
  bool request_ended_ = false;
  bool refused_ = false;        // the head was too long: answered already
  bool telling_ = false;        // in the session's list of streams to be told
  Clock::time_point progress_;  // when its client last took something, or there was something to take
};

class StreamPool {
 public:
  std::unique_ptr<Http2Stream> take() {
    if (free_.empty()) return std::make_unique<Http2Stream>();
    auto stream = std::move(free_.back());
    free_.pop_back();
    return stream;
  }
  void give(std::unique_ptr<Http2Stream> stream) {
    stream->reset();
    if (free_.size() < kept) free_.push_back(std::move(stream));
  }

 private:
  static constexpr std::size_t kept = 4096;
  std::vector<std::unique_ptr<Http2Stream>> free_;
};

}  // namespace quorate::http
