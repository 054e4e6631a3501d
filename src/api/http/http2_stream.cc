#include "api/http/http2_stream.h"

#include <algorithm>
#include <charconv>

#include "api/http/http2_session.h"

namespace quorate::http {

namespace {

constexpr std::size_t kept_text = 4096;  // capacity a pooled stream may keep
constexpr std::size_t kept_pieces = 16;

nghttp2_nv name_value(std::string_view name, std::string_view value, bool literal) {
  // nghttp2 takes non-const pointers and does not write through them.
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          static_cast<std::uint8_t>(literal ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
                                            : NGHTTP2_NV_FLAG_NONE)};
}

}  // namespace

void Http2Stream::open(Http2Session& session, std::int32_t id) {
  session_ = &session;
  secure_ = session.connection_.secure();
  id_ = id;
  high_water_ = session.hub_.limits.stream_high_water;
  backlog_ = session.hub_.handler->backlog.get();
}

void Http2Stream::reset() {
  receiver_.reset();
  head_.clear();
  if (head_.capacity() > kept_text) head_.shrink_to_fit();
  headers_.clear();
  added_ = {};
  secure_ = false;
  queue_.clear();
  if (queue_.capacity() > kept_pieces) queue_.shrink_to_fit();
  trailer_text_.clear();
  trailers_.clear();
  session_ = nullptr;
  id_ = 0;
  method_ = target_ = {};
  queue_at_ = piece_at_ = queued_ = 0;
  deadline_ = Clock::time_point::max();
  responded_ = finished_ = deferred_ = request_ended_ = refused_ = was_full_ = telling_ = false;
}

Http2Stream::Part Http2Stream::keep(std::string_view value) {
  const Part part{static_cast<std::uint32_t>(head_.size()), static_cast<std::uint32_t>(value.size())};
  head_.append(value);
  return part;
}

void Http2Stream::add_header(std::string_view name, std::string_view value) {
  if (name.starts_with(':')) {
    if (name == ":method")
      method_ = keep(value);
    else if (name == ":path")
      target_ = keep(value);
    else if (name == ":authority")
      headers_.emplace_back(keep("host"), keep(value));
    return;
  }
  const Part name_part = keep(name);
  headers_.emplace_back(name_part, keep(value));
}

std::string_view Http2Stream::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers_) {
    if (name.size == lower_name.size() && text(name) == lower_name) return text(value);
  }
  return {};
}

void Http2Stream::respond(int status, std::span<const Field> fields, bool end) {
  if (responded_ || session_ == nullptr) return;
  responded_ = true;
  char digits[4] = {};
  std::to_chars(digits, digits + 3, status);
  std::array<nghttp2_nv, 16> head;
  std::size_t n = 0;
  head[n++] = status == 200 ? name_value(":status", "200", true) : name_value(":status", {digits, 3}, false);
  for (const auto& some : {fields, added_}) {
    for (const auto& field : some.first(std::min(some.size(), head.size() - n))) {
      head[n++] = name_value(field.name, field.value, field.literal);
    }
  }
  if (end) {
    finished_ = true;
    nghttp2_submit_response(session_->session_, id_, head.data(), n, nullptr);
  } else {
    nghttp2_data_provider provider;
    provider.source.ptr = this;
    provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                                std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      return static_cast<Http2Stream*>(source->ptr)->read(to, room, flags);
    };
    nghttp2_submit_response(session_->session_, id_, head.data(), n, &provider);
  }
  session_->changed();
}

void Http2Stream::write(Piece piece) {
  if (finished_ || session_ == nullptr || piece.size() == 0) return;
  if (queued_ == 0) progress_ = session_->hub_.now;
  queued(piece.size());
  session_->queued_output_ += piece.size();
  (void)has_room();  // a sender that does not ask is told, too
  queue_.push_back(std::move(piece));
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(session_->session_, id_);
  session_->changed();
}

void Http2Stream::finish(std::span<const Field> trailers) {
  if (finished_ || session_ == nullptr) return;
  finished_ = true;
  for (const auto& field : trailers) {
    if (field.literal) {
      trailers_.push_back({field, {}, {}});
      continue;
    }
    const auto keep_text = [&](std::string_view value) {
      const Part part{static_cast<std::uint32_t>(trailer_text_.size()),
                      static_cast<std::uint32_t>(value.size())};
      trailer_text_.append(value);
      return part;
    };
    const Part name = keep_text(field.name);
    trailers_.push_back({{}, name, keep_text(field.value)});
  }
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(session_->session_, id_);
  session_->changed();
}

void Http2Stream::abort() {
  if (session_ == nullptr) return;
  finished_ = true;
  nghttp2_submit_rst_stream(session_->session_, NGHTTP2_FLAG_NONE, id_, NGHTTP2_INTERNAL_ERROR);
  session_->changed();
}

void Http2Stream::set_deadline(Clock::time_point at) {
  deadline_ = at;
  if (session_ != nullptr) session_->next_deadline_ = std::min(session_->next_deadline_, at);
}

// The data provider: one per stream, deferred while there is nothing to send. Trailers are submitted with the
// last data, never before (nghttp2 would send them in front of the body).
ssize_t Http2Stream::read(std::uint8_t* to, std::size_t room, std::uint32_t* flags) {
  std::size_t taken = 0;
  while (taken < room && queue_at_ < queue_.size()) {
    const Piece& piece = queue_[queue_at_];
    const std::string_view front = piece.front();
    const bool in_front = piece_at_ < front.size();
    const std::string_view part =
        in_front ? front.substr(piece_at_) : piece.body().view().substr(piece_at_ - front.size());
    const std::size_t n = std::min(part.size(), room - taken);
    if (n != 0) std::memcpy(to + taken, part.data(), n);
    taken += n;
    piece_at_ += n;
    if (piece_at_ == piece.size()) {
      queue_[queue_at_++] = Piece();  // the payload is released as soon as it is framed
      piece_at_ = 0;
    }
  }
  if (queue_at_ == queue_.size()) {
    queue_.clear();
    queue_at_ = 0;
  } else if (queue_at_ > 64) {  // a queue that never runs dry must not grow for ever
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_at_));
    queue_at_ = 0;
  }
  unqueued(taken);
  session_->queued_output_ -= taken;
  if (taken != 0) progress_ = session_->hub_.now;
  if (was_full_ && queued_ <= high_water() / 2) {
    was_full_ = false;
    if (!std::exchange(telling_, true)) session_->to_tell_.push_back(this);
  }
  if (queue_.empty() && finished_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers_.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      submit_trailers();
    }
  } else if (taken == 0) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  return static_cast<ssize_t>(taken);
}

void Http2Stream::submit_trailers() {
  std::array<nghttp2_nv, 8> fields;
  std::size_t n = 0;
  for (const auto& trailer : trailers_) {
    if (n == fields.size()) break;
    if (trailer.field.literal) {
      fields[n++] = name_value(trailer.field.name, trailer.field.value, true);
    } else {
      const std::string_view all = trailer_text_;
      fields[n++] = name_value(all.substr(trailer.name.at, trailer.name.size),
                               all.substr(trailer.value.at, trailer.value.size), false);
    }
  }
  nghttp2_submit_trailer(session_->session_, id_, fields.data(), n);
}

}  // namespace quorate::http
