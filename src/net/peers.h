// The links of a node to all others: listens, dials, checks who is there, reconnects, sends and receives.
//
// Every node dials every other; a message goes out on the connection this node dialled, or else on the one
// the other dialled. Delivery is at most once and in no order across reconnections: protocols are built for
// that. All of it runs on one io_context thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/durations.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/frame.h"
#include "tls/complaints.h"

namespace quorate::net {

struct PeersConfig {
  NodeId self;
  ClusterId cluster;
  std::uint64_t instance = 0;                 // random, new at each start
  std::vector<std::string> peer_urls;         // where others reach this node
  std::size_t max_queued_bytes = 64U << 20U;  // per peer, waiting to be sent
  std::size_t max_frame_bytes = 64U << 20U;
  std::size_t max_strangers =
      64;  // accepted connections that have not said who they are, TLS handshakes included
  // Connected nodes that are no members as far as this one knows: it may not have heard of them yet.
  std::size_t max_guests = 16;
  std::shared_ptr<tls::Context> accept_tls;  // for addresses with https: when accepting ...
  std::shared_ptr<tls::Context> dial_tls;    // ... and when dialling
  std::chrono::milliseconds handshake_timeout{3000};
  std::chrono::milliseconds ping_interval{1000};
  std::chrono::milliseconds dead_after{5000};  // without a byte, a connection counts as half open
  // Until what is queued for a node that is parted from is dropped, where it does not take it.
  std::chrono::milliseconds last_words{5000};
  std::chrono::milliseconds first_retry{50};
  std::chrono::milliseconds last_retry{1000};
};

class PeersHandler {
 public:
  PeersHandler() = default;
  PeersHandler(const PeersHandler&) = delete;
  PeersHandler& operator=(const PeersHandler&) = delete;
  virtual ~PeersHandler() = default;
  virtual void received(NodeId from, KeyspaceId keyspace, Bytes frame) = 0;
  virtual void connection_changed(NodeId /*peer*/, bool /*connected*/) {}
  // The keyspaces of which this node knows that they removed that one for good, in order: it is told. Of
  // others it may well be a member, so it is answered as before.
  [[nodiscard]] virtual std::vector<KeyspaceId> removed_from(NodeId /*peer*/) const { return {}; }
  // `by` said so of this node.
  virtual void told_removed(NodeId /*by*/, const std::vector<KeyspaceId>& /*from*/) {}
  // The members as this node knows them, for a node that wants to join.
  [[nodiscard]] virtual std::vector<Known> members() const = 0;
  // Whether that member has taken part, ever, as far as this node knows.
  [[nodiscard]] virtual bool has_started(NodeId /*member*/) const { return false; }
};

class Peers final : private ConnectionOwner {
 public:
  Peers(boost::asio::io_context& context, PeersConfig config, PeersHandler& handler);
  ~Peers() override;

  // Binds and accepts, on one more address at each call; with TLS if the address is https. Port 0 picks a
  // free one; the port bound is returned.
  [[nodiscard]] std::expected<std::uint16_t, std::string> listen(const Address& address);

  // Exactly these are dialled from now on. The connections to those no longer named close once what is queued
  // has gone out, or after `last_words`.
  void set_peers(const std::map<NodeId, std::vector<std::string>>& peers);

  // Queues a frame; dropped (and counted) if the peer is not connected or its queue is full.
  void send(NodeId to, KeyspaceId keyspace, Bytes frame);
  void flush();  // one write per peer for all that was queued since the last call
  void stop();

  struct PeerStatus {
    NodeId id;
    bool connected = false;
    std::chrono::microseconds round_trip{};  // of the last ping
    Durations round_trips;                   // of all
    Traffic traffic;
  };
  [[nodiscard]] std::vector<PeerStatus> status() const;

 private:
  struct Peer;

  ConnectionOwner& owner() { return *this; }
  void accept(std::size_t door);
  void on_accepted(boost::asio::ip::tcp::socket socket, bool tls);
  void warn(const Connection& connection, const std::string& did, const std::string& why);
  void dial_peer(Peer& peer);
  void on_dialled(NodeId id, std::expected<std::unique_ptr<Stream>, std::string> stream);
  void retry_later(Peer& peer, const std::string& reason);
  void arm_timer();
  void check_connections();
  void check_peer(Peer& peer, Connection::Clock::time_point now, bool judge_silence);

  void control(Connection& connection, Control message) override;
  void frame(Connection& connection, KeyspaceId keyspace, Bytes payload) override;
  void closed(Connection& connection, const std::string& reason) override;

  void on_hello(Connection& connection, const Hello& hello);
  void welcome(Peer& peer);
  void on_welcome(Connection& connection, Peer& peer, const Welcome& welcome);
  void on_pong(Peer& peer, std::uint64_t number);
  [[nodiscard]] std::optional<Refuse> objection(const Hello& hello) const;
  [[nodiscard]] bool took_part(NodeId id) const;
  [[nodiscard]] Control invitation(const Hello& hello) const;
  void dismiss(Connection& connection, const Control& answer);
  void part(std::shared_ptr<Connection> connection);
  void drop_parted();
  void forget(std::shared_ptr<Connection>& connection);
  void note_connected(Peer& peer);
  Peer& peer_at(NodeId id);
  Peer* peer_of(const Connection& connection);

  boost::asio::io_context& context_;
  PeersConfig config_;
  PeersHandler& handler_;
  struct Door {
    boost::asio::ip::tcp::acceptor acceptor;
    bool tls = false;
  };
  std::vector<std::unique_ptr<Door>> doors_;
  boost::asio::steady_timer timer_;
  Connection::Clock::time_point look_due_;  // when it expires
  std::map<NodeId, std::unique_ptr<Peer>> peers_;
  std::map<const Connection*, NodeId> owners_;  // of connections that belong to a peer
  std::map<const Connection*, std::shared_ptr<Connection>> strangers_;  // accepted, not yet introduced
  std::vector<std::pair<Connection::Clock::time_point, std::shared_ptr<Connection>>> parting_;  // since when
  std::vector<Peer*> unflushed_;
  std::shared_ptr<Traffic> strangers_traffic_ = std::make_shared<Traffic>();
  tls::Complaints complaints_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // callbacks that outlive us look here
};

}  // namespace quorate::net
