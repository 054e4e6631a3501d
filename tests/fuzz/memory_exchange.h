// An HTTP exchange without a connection: a request out of memory, and what a connection would check of the
// answer: one head, nothing behind the end, room that is told of.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/http/exchange.h"
#include "fuzz.h"

namespace quorate::fuzz {

class MemoryExchange final : public http::Exchange {
 public:
  MemoryExchange(http::Version version, std::string method, std::string target,
                 std::map<std::string, std::string, std::less<>> headers)
      : version_(version),
        method_(std::move(method)),
        target_(std::move(target)),
        headers_(std::move(headers)) {
    backlog_ = waiting_.get();
  }
  ~MemoryExchange() { close(); }

  [[nodiscard]] http::Version version() const override { return version_; }
  [[nodiscard]] std::string_view method() const override { return method_; }
  [[nodiscard]] std::string_view target() const override { return target_; }
  [[nodiscard]] std::string_view header(std::string_view lower_name) const override {
    const auto at = headers_.find(lower_name);
    return at == headers_.end() ? std::string_view() : std::string_view(at->second);
  }
  void respond(int status, std::span<const http::Field> fields, bool end) override {
    require(!responded_, "two heads");
    require(status >= 200 && status < 600, "no status");
    for (const auto& field : fields) check(field);
    responded_ = true;
    finished_ = end;
  }
  void write(http::Piece piece) override {
    require(responded_, "a body in front of the head");
    if (finished_ || aborted_) return;
    queued(piece.size());
    body_ += piece.front();
    body_ += piece.body().view();
  }
  void finish(std::span<const http::Field> trailers) override {
    require(responded_, "an end in front of the head");
    for (const auto& field : trailers) check(field);
    finished_ = true;
  }
  void abort() override { aborted_ = true; }
  void set_deadline(http::Clock::time_point at) override { deadline_ = at; }

  // The client's side.
  void send(std::string_view chunk) {
    if (const auto receiver = receiver_) receiver->body(chunk);
  }
  void end() {
    if (const auto receiver = receiver_) receiver->body_end();
  }
  // The client takes everything that is queued; a finished exchange is over.
  void drain() {
    const bool was_full = !has_room();
    unqueued(queued_);
    if (finished_ || aborted_) return close();
    if (const auto receiver = receiver_; was_full && receiver) receiver->writable();
  }
  void pass_deadline() {
    if (deadline_ == http::Clock::time_point::max()) return;
    clear_deadline();
    if (const auto receiver = receiver_) receiver->deadline();
  }
  void close() {
    if (const auto receiver = std::exchange(receiver_, nullptr)) receiver->closed();
  }
  [[nodiscard]] bool over() const { return finished_ || aborted_; }
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  // What would split a response (RFC 9110 §5.5).
  static void check(const http::Field& field) {
    require(!field.name.empty(), "a nameless field");
    require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
            "a line break in a field");
  }

  http::Version version_;
  std::string method_;
  std::string target_;
  std::map<std::string, std::string, std::less<>> headers_;
  std::string body_;
  // Shared with what answers it, such as JSON that is written elsewhere.
  const std::shared_ptr<http::Backlog> waiting_ = std::make_shared<http::Backlog>();
  bool aborted_ = false;
};

}  // namespace quorate::fuzz
