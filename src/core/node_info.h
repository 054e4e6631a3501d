// What a cluster knows of a node beside its role: carried as the opaque `context` of a Member.
#pragma once

#include <string>
#include <vector>

#include <boost/describe.hpp>

namespace quorate {

struct NodeInfo {
  std::string name;                      // empty until the node has started once
  std::vector<std::string> peer_urls;    // "http://host:port", where other nodes reach it
  std::vector<std::string> client_urls;  // where clients reach it; empty until it has started once
  friend bool operator==(const NodeInfo&, const NodeInfo&) = default;
};
BOOST_DESCRIBE_STRUCT(NodeInfo, (), (name, peer_urls, client_urls))

}  // namespace quorate
