// Who a starting node is: as its data directory says, else as its configuration, or the cluster that it
// joins, does.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "runtime/node.h"
#include "server/config.h"
#include "tls/context.h"

namespace quorate::server {

// Blocks while a joining node is no member yet; signals end the process meanwhile. An error also for a member
// that took part before and has nothing of that any more.
[[nodiscard]] std::expected<runtime::Identity, std::string> identify(
    const Config& config, const runtime::DataDirectory& directory,
    const std::shared_ptr<tls::Context>& dial_tls);

}  // namespace quorate::server
