// What stands on a peer connection, in each direction: eight bytes of magic, then frames.
//
//   frame   u32 length of the payload | u32 crc32c of all that follows and the length | u64 keyspace |
//   payload
//
// All numbers little endian. Keyspace 0 carries this folder's own Control messages; the first frame in each
// direction is one of them (Hello; Welcome or Refuse). docs/design/formats.md tells the same in prose.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"

namespace quorate::net {

inline constexpr std::string_view magic{"QUORATE\x01", 8};
inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::size_t header_bytes = 16;
inline constexpr std::size_t max_control_bytes = 64U << 10U;  // also of anything before the handshake is done

// The dialling side, first.
struct Hello {
  std::uint32_t version = protocol_version;
  ClusterId cluster{};                   // none: a node that wants to join and does not know yet
  NodeId from{};                         // none likewise
  NodeId to{};                           // whom the dialler expects; none likewise
  std::uint64_t instance = 0;            // chosen at random at each start: tells a restart from a duplicate
  std::vector<std::string> peer_urls{};  // where the dialler is reached
  NodeId claims{};                       // one that wants to join: who it is, if it is configured
};

struct Welcome {  // the accepting side agrees
  std::uint32_t version = protocol_version;
  ClusterId cluster{};
  NodeId from{};
  std::uint64_t instance = 0;
  // The keyspaces that removed the dialler for good, as far as this side knows. When there are more, it says
  // Welcome again.
  std::vector<KeyspaceId> removed_from{};
};

enum class Refusal : std::uint8_t {
  version = 1,     // no common version
  cluster = 2,     // another cluster
  wrong_node = 3,  // the dialler expects another node at this address
  duplicate = 4,   // the id is the acceptor's own, or in use by a live process
  removed = 5,     // said by earlier versions only, to whom they did not know in any keyspace
  not_member = 6,  // a joining node's addresses are in no membership yet
  busy = 7,
};
struct Refuse {
  Refusal reason = Refusal::busy;
  std::string words{};
};

struct Known {  // a member, as told to a joining node
  NodeId id{};
  std::vector<std::string> peer_urls{};
};
struct Invite {  // answers a joining Hello whose peer_urls are a member's: who it is, and who else there is
  ClusterId cluster{};
  NodeId you{};
  std::vector<Known> members{};
  bool started = false;  // it took part already, and is bound by what it promised then
};

struct Ping {
  std::uint64_t number = 0;
};
struct Pong {
  std::uint64_t number = 0;
};

using Control = std::variant<Hello, Welcome, Refuse, Invite, Ping, Pong>;

BOOST_DESCRIBE_STRUCT(Hello, (), (version, cluster, from, to, instance, peer_urls, claims))
BOOST_DESCRIBE_STRUCT(Welcome, (), (version, cluster, from, instance, removed_from))
BOOST_DESCRIBE_STRUCT(Refuse, (), (reason, words))
BOOST_DESCRIBE_STRUCT(Known, (), (id, peer_urls))
BOOST_DESCRIBE_STRUCT(Invite, (), (cluster, you, members, started))
BOOST_DESCRIBE_STRUCT(Ping, (), (number))
BOOST_DESCRIBE_STRUCT(Pong, (), (number))

// Appends a frame's header for `payload` to `out`.
void put_header(std::string& out, KeyspaceId keyspace, std::string_view payload);

struct Incoming {
  KeyspaceId keyspace;
  Bytes payload;  // shares the read buffer
};

// Cuts a stream of bytes into frames. The caller reads from its socket straight into prepare()'s space;
// payloads are slices of it, never copied. Buffers grow with the traffic, so that a slow connection's few
// payloads do not each hold a large buffer alive.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_payload);

  struct Space {
    char* data;
    std::size_t size;
  };
  Space prepare();                 // where to read the next bytes to
  void commit(std::size_t bytes);  // so many were read

  // The next whole frame; nothing if more bytes are needed; or what is wrong with the stream, for good.
  [[nodiscard]] std::expected<std::optional<Incoming>, std::string> next();
  void set_max_payload(std::size_t bytes) { max_payload_ = bytes; }

 private:
  void renew(std::size_t least);

  std::size_t max_payload_;
  std::size_t chunk_;  // size of the next buffer
  Bytes buffer_;
  std::size_t parsed_ = 0;  // bytes of buffer_ already given out
  std::size_t filled_ = 0;  // bytes of buffer_ read so far
  bool greeted_ = false;    // the magic was seen
  bool checked_ = false;    // the frame at parsed_ has an acceptable header; it waits for its payload
};

}  // namespace quorate::net
