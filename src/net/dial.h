// Connecting to an address: resolve, connect, within a time limit.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "net/address.h"
#include "net/stream.h"

namespace quorate::net {

using Dialled = std::move_only_function<void(std::expected<std::unique_ptr<Stream>, std::string>)>;

// `done` is called once, never from within the call. IP literals are not resolved. An https address is
// dialled with `tls`, whose handshake follows as the stream's first read; without it, dialling one fails.
void dial(boost::asio::io_context& context, const Address& address, std::chrono::milliseconds limit,
          const std::shared_ptr<tls::Context>& tls, Dialled done);

}  // namespace quorate::net
