#include "net/peers.h"

#include <algorithm>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <spdlog/spdlog.h>

#include "net/dial.h"
#include "net/peer.h"

namespace quorate::net {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using Clock = Connection::Clock;

}  // namespace

Peers::Peers(boost::asio::io_context& context, PeersConfig config, PeersHandler& handler)
    : context_(context), config_(std::move(config)), handler_(handler), timer_(context) {
  arm_timer();
}

Peers::~Peers() { stop(); }

void Peers::stop() {
  *alive_ = false;
  error_code ignored;
  for (auto& door : doors_) door->acceptor.close(ignored);
  timer_.cancel();
  for (auto& [id, peer] : peers_) {
    peer->retry.cancel();
    if (peer->out) peer->out->close();
    if (peer->in) peer->in->close();
  }
  for (auto& [key, connection] : strangers_) connection->close();
  for (auto& [since, connection] : parting_) connection->close();
  parting_.clear();
  peers_.clear();
  owners_.clear();
  strangers_.clear();
  unflushed_.clear();
}

std::expected<std::uint16_t, std::string> Peers::listen(const Address& address) {
  error_code error;
  auto host = boost::asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error)
    return std::unexpected("cannot listen on '" + address.host + "': not an IP address of this machine");
  if (address.tls && !config_.accept_tls) {
    return std::unexpected("cannot listen for peers on " + to_url(address) +
                           ": https needs a certificate and key");
  }
  const tcp::endpoint endpoint(host, address.port);
  tcp::acceptor acceptor(context_);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error)
    return std::unexpected("cannot listen for peers on " + to_string(address) + ": " + error.message());
  const std::uint16_t port = acceptor.local_endpoint().port();
  doors_.push_back(std::make_unique<Door>(std::move(acceptor), address.tls));
  accept(doors_.size() - 1);
  return port;
}

void Peers::accept(std::size_t door) {
  doors_[door]->acceptor.async_accept([this, alive = alive_, door](error_code error, tcp::socket socket) {
    if (!*alive || error == boost::asio::error::operation_aborted) return;
    if (error) {  // out of descriptors, say: do not spin, the next tick resumes
      spdlog::warn("peers: accepting failed: {}", error.message());
      auto pause = std::make_shared<boost::asio::steady_timer>(context_, std::chrono::milliseconds(100));
      pause->async_wait([this, alive, pause, door](error_code) {
        if (*alive) accept(door);
      });
      return;
    }
    on_accepted(std::move(socket), doors_[door]->tls);
    accept(door);
  });
}

void Peers::on_accepted(tcp::socket socket, bool tls) {
  drop_parted();
  if (strangers_.size() + parting_.size() >= config_.max_strangers)
    return;  // closes it; a real peer comes again
  auto stream = tls ? tls_stream(std::move(socket), config_.accept_tls) : plain_stream(std::move(socket));
  auto connection =
      std::make_shared<Connection>(std::move(stream), owner(), strangers_traffic_, config_.max_queued_bytes);
  strangers_.emplace(connection.get(), connection);
  connection->start();
}

Peers::Peer& Peers::peer_at(NodeId id) {
  auto& peer = peers_[id];
  if (!peer) peer = std::make_unique<Peer>(id, context_, config_.first_retry);
  return *peer;
}

Peers::Peer* Peers::peer_of(const Connection& connection) {
  const auto owner = owners_.find(&connection);
  if (owner == owners_.end()) return nullptr;
  const auto peer = peers_.find(owner->second);
  return peer == peers_.end() ? nullptr : peer->second.get();
}

void Peers::set_peers(const std::map<NodeId, std::vector<std::string>>& peers) {
  for (auto& [id, peer] : peers_) {
    if (!peer->wanted || peers.contains(id)) continue;
    peer->wanted = false;
    peer->retry.cancel();
    if (peer->out) {
      owners_.erase(peer->out.get());
      part(std::exchange(peer->out, nullptr));
      peer->out_ready = false;
    }
    note_connected(*peer);
  }
  for (const auto& [id, urls] : peers) {
    if (id == config_.self) continue;
    Peer& peer = peer_at(id);
    std::vector<Address> addresses;
    for (const auto& url : urls) {
      if (auto address = parse_address(url)) addresses.push_back(std::move(*address));
    }
    const bool moved = peer.addresses != addresses;
    peer.addresses = std::move(addresses);
    const bool fresh = !std::exchange(peer.wanted, true);
    if (moved && !fresh) {
      forget(peer.out);
      peer.out_ready = false;
      note_connected(peer);
    }
    if ((fresh || moved) && !peer.out && !peer.dialling) dial_peer(peer);
  }
}

void Peers::dial_peer(Peer& peer) {
  if (!peer.wanted || peer.dialling || peer.out || peer.addresses.empty()) return;
  peer.dialling = true;
  const Address address = peer.addresses[peer.attempts++ % peer.addresses.size()];
  peer.out_tls = address.tls;
  dial(context_, address, config_.handshake_timeout, config_.dial_tls,
       [this, alive = alive_, id = peer.id](std::expected<std::unique_ptr<Stream>, std::string> stream) {
         if (*alive) on_dialled(id, std::move(stream));
       });
}

void Peers::on_dialled(NodeId id, std::expected<std::unique_ptr<Stream>, std::string> stream) {
  Peer& peer = peer_at(id);
  peer.dialling = false;
  if (!peer.wanted || peer.out) return;
  if (!stream) return retry_later(peer, stream.error());
  peer.out =
      std::make_shared<Connection>(std::move(*stream), owner(), strangers_traffic_, config_.max_queued_bytes);
  owners_.emplace(peer.out.get(), id);
  peer.out->start();
  peer.out->send_control(Hello{.cluster = config_.cluster,
                               .from = config_.self,
                               .to = id,
                               .instance = config_.instance,
                               .peer_urls = config_.peer_urls});
}

void Peers::retry_later(Peer& peer, const std::string& reason) {
  if (!peer.wanted) return;
  if (peer.last_reason != reason) {
    spdlog::info("peer {}: not connected: {}", peer.id.value, reason);
    peer.last_reason = reason;
  }
  peer.retry.expires_after(peer.backoff);
  peer.backoff = std::min(peer.backoff * 2, config_.last_retry);
  peer.retry.async_wait([this, alive = alive_, id = peer.id](error_code error) {
    if (!error && *alive) dial_peer(peer_at(id));
  });
}

void Peers::control(Connection& connection, Control message) {
  Peer* peer = peer_of(connection);
  const bool dialled = peer && peer->out.get() == &connection;
  if (auto* hello = std::get_if<Hello>(&message)) {
    if (strangers_.contains(&connection)) on_hello(connection, *hello);
  } else if (!peer) {
    closed(connection, "spoke before it said who it is");
    connection.close();
  } else if (auto* welcome = std::get_if<Welcome>(&message)) {
    if (dialled) on_welcome(connection, *peer, *welcome);
  } else if (auto* refused = std::get_if<Refuse>(&message)) {
    const std::string words = "refused by " + connection.remote() + ": " + refused->words;
    connection.close();
    closed(connection, words);
  } else if (auto* ping = std::get_if<Ping>(&message)) {
    connection.send_control(Pong{ping->number});
  } else if (auto* pong = std::get_if<Pong>(&message)) {
    on_pong(*peer, pong->number);
  }
}

void Peers::warn(const Connection& connection, const std::string& did, const std::string& why) {
  if (complaints_.fresh(connection.remote(), why))
    spdlog::warn("peers: {} {}: {}", did, connection.remote(), why);
}

void Peers::part(std::shared_ptr<Connection> connection) {
  connection->close_after_writing();
  if (connection->open()) parting_.emplace_back(Clock::now(), std::move(connection));
}

void Peers::drop_parted() {
  std::erase_if(parting_, [](const auto& each) { return !each.second->open(); });
}

void Peers::frame(Connection& connection, KeyspaceId keyspace, Bytes payload) {
  const Peer* peer = peer_of(connection);
  if (!peer || (peer->out.get() == &connection && !peer->out_ready)) return;  // not introduced: no message
  handler_.received(peer->id, keyspace, std::move(payload));
}

void Peers::forget(std::shared_ptr<Connection>& connection) {
  if (!connection) return;
  owners_.erase(connection.get());
  std::exchange(connection, nullptr)->close();
}

void Peers::closed(Connection& connection, const std::string& reason) {
  if (const auto stranger = strangers_.extract(&connection)) {
    if (reason != hung_up) warn(connection, "turned away", reason);  // a probe of the port is no news
    return;
  }
  Peer* peer = peer_of(connection);
  if (!peer) return;
  const bool dialled = peer->out.get() == &connection;
  const bool unanswered = dialled && !peer->out_ready && !peer->out_tls && reason == hung_up;
  forget(dialled ? peer->out : peer->in);
  if (dialled) peer->out_ready = false;
  note_connected(*peer);
  if (dialled) {
    retry_later(
        *peer, unanswered ? reason + " without an answer; if it expects TLS, its URL must be https" : reason);
  }
}

void Peers::note_connected(Peer& peer) {
  const bool connected = peer.usable() != nullptr;
  if (connected == peer.connected) return;
  peer.connected = connected;
  spdlog::info("peer {}: {}", peer.id.value, connected ? "connected" : "disconnected");
  handler_.connection_changed(peer.id, connected);
}

void Peers::send(NodeId to, KeyspaceId keyspace, Bytes frame) {
  const auto found = peers_.find(to);
  if (found == peers_.end()) return;
  Peer& peer = *found->second;
  Connection* connection = peer.usable();
  if (!connection) {
    ++peer.traffic->dropped_frames;
    return;
  }
  if (connection->send(keyspace, std::move(frame)) && !std::exchange(peer.unflushed, true)) {
    unflushed_.push_back(&peer);
  }
}

void Peers::flush() {
  for (Peer* peer : std::exchange(unflushed_, {})) {
    peer->unflushed = false;
    if (peer->out) peer->out->flush();
    if (peer->in) peer->in->flush();
  }
}

void Peers::on_pong(Peer& peer, std::uint64_t number) {
  if (number != peer.ping) return;
  peer.round_trip = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - peer.pinged);
  peer.round_trips.note(std::chrono::duration<double>(peer.round_trip).count());
}

void Peers::arm_timer() {
  look_due_ = Clock::now() + config_.ping_interval;
  timer_.expires_at(look_due_);
  timer_.async_wait([this, alive = alive_](error_code error) {
    if (error || !*alive) return;
    check_connections();
    arm_timer();
  });
}

void Peers::check_connections() {
  const auto now = Clock::now();
  std::vector<std::shared_ptr<Connection>> slow;
  for (auto& [key, connection] : strangers_) {
    if (now - connection->opened() > config_.handshake_timeout) slow.push_back(connection);
  }
  for (auto& connection : slow) {
    connection->close();
    closed(*connection, "did not say who it is in time");
  }
  for (auto& [since, connection] : parting_) {
    if (now - since >= config_.last_words) connection->close();
  }
  drop_parted();
  // Who stood still has not listened: nobody is silent before the next look.
  const bool judge_silence = now - look_due_ <= config_.ping_interval;
  for (auto& [id, peer] : peers_) check_peer(*peer, now, judge_silence);
  std::erase_if(peers_, [](const auto& each) {  // guests that have gone, and former members
    const Peer& peer = *each.second;
    return !peer.wanted && !peer.in && !peer.out && !peer.dialling && !peer.unflushed;
  });
}

void Peers::check_peer(Peer& peer, Clock::time_point now, bool judge_silence) {
  if (peer.in && handler_.removed_from(peer.id) != peer.told) welcome(peer);
  if (judge_silence && peer.in && now - peer.in->last_received() > config_.dead_after) {
    const auto silent = peer.in;
    silent->close();
    closed(*silent, "silent for too long");
  }
  if (!peer.out) return;
  const auto limit = peer.out_ready ? config_.dead_after : config_.handshake_timeout;
  if (judge_silence && now - peer.out->last_received() > limit) {
    const auto silent = peer.out;
    silent->close();
    closed(*silent, peer.out_ready ? "silent for too long" : "no handshake in time");
  } else if (peer.out_ready) {
    peer.pinged = now;
    peer.out->send_control(Ping{++peer.ping});
  }
}

std::vector<Peers::PeerStatus> Peers::status() const {
  std::vector<PeerStatus> all;
  for (const auto& [id, peer] : peers_) {
    if (peer->wanted || peer->in)
      all.push_back({id, peer->usable() != nullptr, peer->round_trip, peer->round_trips, *peer->traffic});
  }
  return all;
}

}  // namespace quorate::net
