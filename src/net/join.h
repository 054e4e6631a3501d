// How a node that joins a running cluster learns who it is: it tells a member its own peer URLs, and the
// member, once it has been told to add them, answers with cluster id, node id and the other members.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/frame.h"
#include "tls/context.h"

namespace quorate::net {

// Asks one member, with a Hello of the asker's peer URLs and perhaps who it claims to be; blocks until it
// answered or `limit` has passed. `tls` as in dial().
[[nodiscard]] std::expected<Invite, std::string> ask_to_join(
    const Address& member, const Hello& hello, std::chrono::milliseconds limit,
    const std::shared_ptr<tls::Context>& tls = nullptr);

}  // namespace quorate::net
