// The bounds of a listener. What passes one is refused or closed; memory stays in proportion to them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace quorate::http {

struct Limits {
  std::size_t max_connections = 16'384;          // beyond it, accepted and closed at once
  std::uint32_t max_concurrent_streams = 4'096;  // of one HTTP/2 connection
  std::size_t max_header_bytes = 64U << 10U;     // names and values of one request
  std::size_t max_http1_body = 4U << 20U;        // base64 makes 2 MiB of 1.5
  std::size_t max_arriving = 256U << 20U;        // of all HTTP/1.1 requests not yet whole, or not yet begun
  std::uint32_t stream_window = 1U << 20U;       // request bytes a stream may send ahead
  std::uint32_t connection_window = 16U << 20U;
  std::size_t max_queued_output = 64U << 20U;   // of one connection; beyond it new streams are refused
  std::size_t stream_high_water = 256U << 10U;  // a streaming sender is told to stop here
  std::uint64_t reset_burst = 20'000;           // streams a client may cancel at once ...
  std::uint64_t reset_rate = 5'000;             // ... and per second

  std::chrono::milliseconds ping_min_time{0};          // clients that ping more often are sent away; 0: never
  std::chrono::milliseconds ping_interval{7'200'000};  // without a byte, the client is pinged; 0: never ...
  std::chrono::milliseconds ping_timeout{20'000};      // ... and closed if nothing comes within

  std::chrono::milliseconds tick{100};  // how often the time-outs below are checked
  std::chrono::milliseconds head_timeout{
      10'000};  // handshake and the first complete request head; later heads
  std::chrono::milliseconds body_timeout{60'000};     // a whole HTTP/1.1 body
  std::chrono::milliseconds idle_timeout{1'800'000};  // no stream open, nothing received
  std::chrono::milliseconds stall_timeout{120'000};   // the client takes nothing of what is queued for it
  std::chrono::milliseconds pressed_timeout{10'000};  // the same, while more than half of all output may wait
  std::chrono::milliseconds shutdown_grace{3'000};    // for open exchanges, after shutdown()
};

}  // namespace quorate::http
