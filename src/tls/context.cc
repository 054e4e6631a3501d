#include "tls/context.h"

#include <fstream>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/verify_context.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "tls/refused.h"

namespace quorate::tls {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

// Changes whenever one of the files is replaced or written to.
std::string stamp_of(const Settings& settings) {
  std::string stamp;
  for (const auto* file : {&settings.certificate, &settings.key, &settings.ca, &settings.crl}) {
    struct stat found = {};
    if (file->empty() || ::stat(file->c_str(), &found) != 0) {
      stamp += "-;";
      continue;
    }
    for (const auto number :
         {static_cast<long long>(found.st_dev), static_cast<long long>(found.st_ino),
          static_cast<long long>(found.st_size), static_cast<long long>(found.st_mtim.tv_sec),
          static_cast<long long>(found.st_mtim.tv_nsec)}) {
      stamp += std::to_string(number) + ",";
    }
    stamp += ';';
  }
  return stamp;
}

struct Wrong {  // thrown and caught within this file only
  std::string words;
};

void require_readable(const std::string& name, const std::string& file) {
  if (!std::ifstream(file)) throw Wrong{name + ": " + file + " can not be read"};
}

void require(const error_code& error, const std::string& name, const std::string& file,
             const char* expected) {
  if (error) throw Wrong{name + ": " + file + " is not " + expected + " (" + error.message() + ")"};
}

void load_own_certificate(ssl::context& context, const Settings& settings) {
  const Names& names = settings.names;
  if (settings.certificate.empty() != settings.key.empty()) {
    throw Wrong{names.certificate + " and " + names.key + " go together: one of them is missing"};
  }
  if (settings.certificate.empty()) return;
  error_code error;
  require_readable(names.certificate, settings.certificate);
  require_readable(names.key, settings.key);
  context.use_certificate_chain_file(settings.certificate, error);
  require(error, names.certificate, settings.certificate, "a certificate in PEM form");
  // Without this the library asks on the terminal for the password of an encrypted key.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                error);
  context.use_private_key_file(settings.key, ssl::context::pem, error);
  if (ERR_GET_REASON(static_cast<unsigned long>(error.value())) == X509_R_KEY_VALUES_MISMATCH) {
    throw Wrong{names.key + ": " + settings.key + " does not belong to " + settings.certificate};
  }
  require(error, names.key, settings.key, "a private key in PEM form without a password");
}

void load_trust(ssl::context& context, const Settings& settings) {
  error_code error;
  if (settings.ca.empty()) {
    context.set_default_verify_paths(error);
  } else {
    require_readable(settings.names.ca, settings.ca);
    context.load_verify_file(settings.ca, error);
    require(error, settings.names.ca, settings.ca, "a list of certificates in PEM form");
    // Clients with several certificates choose by what the server says it trusts.
    SSL_CTX_set_client_CA_list(context.native_handle(), SSL_load_client_CA_file(settings.ca.c_str()));
  }
  if (settings.crl.empty()) return;
  require_readable("the list of revoked certificates", settings.crl);
  X509_STORE* store = SSL_CTX_get_cert_store(context.native_handle());
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, settings.crl.c_str(), X509_FILETYPE_PEM) <= 0) {
    throw Wrong{"the list of revoked certificates: " + settings.crl + " is not one in PEM form"};
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
}

std::string common_name(X509* certificate) {
  char name[256] = {};
  const int size =
      X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return size < 0 ? std::string() : std::string(name, static_cast<std::size_t>(size));
}

bool valid_for(X509* certificate, const std::string& host) {
  return X509_check_host(certificate, host.data(), host.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                         nullptr) == 1 ||
         X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
}

bool is_allowed(X509* certificate, const std::string& cn, const std::string& host) {
  if (!cn.empty()) return common_name(certificate) == cn;
  return host.empty() || valid_for(certificate, host);
}

void check_identity(ssl::context& context, const Settings& settings) {
  error_code error;
  context.set_verify_callback(
      [cn = settings.allowed_cn, host = settings.allowed_host](bool good, ssl::verify_context& verification) {
        X509_STORE_CTX* store = verification.native_handle();
        if (X509_STORE_CTX_get_error_depth(store) != 0) return good;
        X509* certificate = X509_STORE_CTX_get_current_cert(store);
        if (good && !is_allowed(certificate, cn, host)) {
          X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
          good = false;
        }
        if (!good) remember_refused(store, certificate);
        return good;
      },
      error);
}

int openssl_version(Version version) {
  return version == Version::tls13 ? TLS1_3_VERSION : version == Version::tls12 ? TLS1_2_VERSION : 0;
}

void limit_versions(SSL_CTX* context, const Settings& settings) {
  SSL_CTX_set_min_proto_version(
      context, settings.lowest == Version::any ? TLS1_2_VERSION : openssl_version(settings.lowest));
  SSL_CTX_set_max_proto_version(context, openssl_version(settings.highest));
  std::string older;
  std::string newest;  // TLS 1.3 has suites of its own, set apart
  for (const auto& name : settings.ciphers) {
    const bool is_newest = name.starts_with("TLS_AES_") || name == "TLS_CHACHA20_POLY1305_SHA256";
    std::string& list = is_newest ? newest : older;
    list += (list.empty() ? "" : ":") + std::string(OPENSSL_cipher_name(name.c_str()));
  }
  if (!older.empty()) SSL_CTX_set_cipher_list(context, older.c_str());
  if (!newest.empty()) SSL_CTX_set_ciphersuites(context, newest.c_str());
}

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const auto& protocol : protocols) wire += static_cast<char>(protocol.size()) + protocol;
  return wire;
}

// The list lives in the SSL_CTX's own data: a context outlives the Context that built it while connections
// use it.
int alpn_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* list, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(list); });
  return index;
}

int select_protocol(SSL* connection, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  const auto* known =
      static_cast<const std::string*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), alpn_index()));
  unsigned char* chosen = nullptr;
  if (known == nullptr ||
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(known->data()),
                            static_cast<unsigned>(known->size()), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

void offer(SSL_CTX* context, Side side, const std::vector<std::string>& protocols) {
  if (protocols.empty()) return;
  const std::string wire = alpn_wire(protocols);
  if (side == Side::client) {
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()));
    return;
  }
  SSL_CTX_set_ex_data(context, alpn_index(), new std::string(wire));
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
}

ssl::context build(Side side, const Settings& settings) {
  ssl::context context(side == Side::server ? ssl::context::tls_server : ssl::context::tls_client);
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_options(native,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  limit_versions(native, settings);
  if (side == Side::server && settings.certificate.empty()) {
    throw Wrong{settings.names.certificate + " is missing: a TLS server shows one"};
  }
  load_own_certificate(context, settings);
  error_code error;
  if (settings.verify) {
    load_trust(context, settings);
    check_identity(context, settings);
    context.set_verify_mode(
        side == Side::server ? ssl::verify_peer | ssl::verify_fail_if_no_peer_cert : ssl::verify_peer, error);
  } else {
    context.set_verify_mode(ssl::verify_none, error);
  }
  if (side == Side::server) {
    // Without it a client that resumes a session, and has shown a certificate in it, is turned away.
    static constexpr unsigned char name[] = "quorate";
    SSL_CTX_set_session_id_context(native, name, sizeof name - 1);
  }
  offer(native, side, settings.alpn);
  return context;
}

std::expected<ssl::context, std::string> try_build(Side side, const Settings& settings) {
  try {
    return build(side, settings);
  } catch (const Wrong& wrong) {
    ERR_clear_error();
    return std::unexpected(wrong.words);
  } catch (const boost::system::system_error& error) {
    return std::unexpected(std::string(error.what()));
  }
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  if (text == "TLS1.2") return Version::tls12;
  if (text == "TLS1.3") return Version::tls13;
  return std::nullopt;
}

bool known_cipher(const std::string& name) {
  return std::string_view(OPENSSL_cipher_name(name.c_str())) != "(NONE)";
}

Context::Context(Side side, Settings settings, ssl::context context, std::string stamp)
    : side_(side),
      settings_(std::move(settings)),
      context_(std::move(context)),
      stamp_(std::move(stamp)),
      follows_files_(true) {}

Context::Context(Side side, ssl::context fixed) : side_(side), context_(std::move(fixed)) {}

std::expected<std::shared_ptr<Context>, std::string> Context::open(Side side, Settings settings) {
  std::string stamp = stamp_of(settings);
  auto built = try_build(side, settings);
  if (!built) return std::unexpected(built.error());
  return std::shared_ptr<Context>(
      new Context(side, std::move(settings), std::move(*built), std::move(stamp)));
}

ssl::context& Context::current() {
  if (!follows_files_) return context_;
  std::string stamp = stamp_of(settings_);
  if (stamp == stamp_) return context_;
  stamp_ = std::move(stamp);
  if (auto built = try_build(side_, settings_)) {
    context_ = std::move(*built);
    spdlog::info("TLS: read again: {}", settings_.certificate.empty() ? settings_.ca : settings_.certificate);
  } else {
    spdlog::warn("TLS: files changed but make no sense, the former ones stay in use: {}", built.error());
  }
  return context_;
}

void Context::report(std::string_view remote, const std::string& why) {
  if (complaints_.fresh(remote, why)) spdlog::warn("TLS: turned away {}: {}", remote, why);
}

void Context::expect_host(SSL* connection, const std::string& host) const {
  error_code not_literal;
  boost::asio::ip::make_address(host, not_literal);
  if (not_literal) SSL_set_tlsext_host_name(connection, host.c_str());
  if (!settings_.verify) return;
  if (not_literal) {
    SSL_set_hostflags(connection, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    SSL_set1_host(connection, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host.c_str());
  }
}

}  // namespace quorate::tls
