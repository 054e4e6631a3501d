// TLS for every socket of the program: who shows which certificate, whom to trust, and what it means when a
// handshake fails. Certificates are files (PEM); a Context follows them, so that renewing one needs no
// restart.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>

#include "tls/complaints.h"

namespace quorate::tls {

enum class Side { server, client };
enum class Version { any, tls12, tls13 };  // any: 1.2 and later

// What the settings are called where the user wrote them, for messages that say what to change.
struct Names {
  std::string certificate = "the certificate";
  std::string key = "its key";
  std::string ca = "the trusted CA";
};

struct Settings {
  std::string certificate;  // file of the own certificate, with its chain; empty: none is shown
  std::string key;          // file of its private key, without a password
  std::string ca;           // file of the CAs to trust; empty: the system's
  std::string crl;          // file of revoked certificates; empty: none are
  // Server: clients must show a certificate. Client: the server's certificate and name are checked.
  bool verify = true;
  // Of the certificate the other side shows, at most one of them: what its CN must be, or a name it must be
  // valid for. Empty: any that the CA signed.
  std::string allowed_cn;
  std::string allowed_host;
  Version lowest = Version::any;
  Version highest = Version::any;
  std::vector<std::string> ciphers;  // IANA's names; empty: the library's choice
  std::vector<std::string> alpn;     // protocols to agree on, by preference (RFC 7301)
  Names names;
};

// The settings, or what is wrong with them: "--tls-min-version" and the like are the caller's to name.
[[nodiscard]] std::optional<Version> parse_version(std::string_view text);  // "TLS1.2", "TLS1.3"
[[nodiscard]] bool known_cipher(const std::string& name);

class Context {
 public:
  // Reads the files. The error names the file, and what is wrong with it.
  [[nodiscard]] static std::expected<std::shared_ptr<Context>, std::string> open(Side side,
                                                                                 Settings settings);
  // A context that never changes.
  Context(Side side, boost::asio::ssl::context fixed);

  // For the next handshake, as the files are now; valid until the next call. Files that changed and make no
  // sense (a certificate renewed before its key) are logged, once, and the last good ones used.
  [[nodiscard]] boost::asio::ssl::context& current();
  [[nodiscard]] Side side() const { return side_; }

  // A client's connection to `host` (a name or an IP literal): what the server's certificate must be valid
  // for.
  void expect_host(SSL* ssl, const std::string& host) const;

  // Logs why a handshake failed, if that is news.
  void report(std::string_view remote, const std::string& why);

  // What a failed handshake or read of `ssl` means, and what to do about it.
  [[nodiscard]] std::string explain(const boost::system::error_code& error, SSL* ssl) const;

 private:
  Context(Side side, Settings settings, boost::asio::ssl::context context, std::string stamp);

  Side side_;
  Settings settings_;
  boost::asio::ssl::context context_;
  std::string stamp_;  // of the files, when they were last looked at
  bool follows_files_ = false;
  Complaints complaints_;
};

inline constexpr const char* plain_text_words =
    "the other side speaks plain text where TLS is expected; both must say https, or both http";

// What the first bytes of a connection say of a peer that should not speak TLS: true if it does.
[[nodiscard]] bool looks_like_tls(std::string_view first_bytes);

}  // namespace quorate::tls
