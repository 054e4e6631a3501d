// Handshake failures in words that say what to change. OpenSSL's own name the mechanism, not the mistake.
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/context.h"
#include "tls/refused.h"

namespace quorate::tls {
namespace {

std::string verification(SSL* connection, const Settings& settings) {
  const long result = connection == nullptr ? X509_V_ERR_UNSPECIFIED : SSL_get_verify_result(connection);
  const std::string why = std::string(" (") + X509_verify_cert_error_string(result) + ")";
  switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the other side's certificate is not valid for the address it was reached at, but for " +
             refused_names(connection) + "; make one with this address among its subjectAltName";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the other side's certificate" + why + "; renew it there, or set the clocks";
    case X509_V_ERR_INVALID_PURPOSE:
      return "the other side's certificate is for another purpose" + why +
             "; its extendedKeyUsage must hold serverAuth for servers and clientAuth for clients, both for "
             "peers";
    case X509_V_ERR_APPLICATION_VERIFICATION:
      return "the other side's certificate is signed by the right CA, but is not the one allowed here" +
             (settings.allowed_cn.empty() ? " (it must be valid for " + settings.allowed_host + ")"
                                          : " (its CN must be " + settings.allowed_cn + ")");
    case X509_V_ERR_CERT_REVOKED: return "the other side's certificate was revoked; give it a new one";
    default:
      return "the other side's certificate is not signed by " + settings.names.ca +
             (settings.ca.empty() ? "" : " (" + settings.ca + ")") + why + "; both sides need the same CA";
  }
}

// The other side told us that it does not like us, and then hung up.
std::string rejection(int reason, const Settings& settings) {
  const std::string own = settings.certificate.empty() ? "" : " " + settings.certificate;
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      if (settings.certificate.empty()) {
        return "the other side wants a certificate and was shown none; set " + settings.names.certificate +
               " and " + settings.names.key;
      }
      return "the other side and this one have no way to speak TLS in common (versions, cipher suites)";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the other side does not trust the certificate shown to it" + own +
             "; it must be signed by the CA trusted there";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "the other side finds the certificate shown to it" + own + " expired; renew it";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return "the other side speaks other versions of TLS";
    default:
      if (settings.certificate.empty()) {
        return "the other side wants a certificate that it trusts; set " + settings.names.certificate +
               " and " + settings.names.key;
      }
      return "the other side does not accept the certificate shown to it" + own +
             "; is it signed by the CA trusted there, and meant for this use?";
  }
}

}  // namespace

std::string Context::explain(const boost::system::error_code& error, SSL* connection) const {
  if (error == boost::asio::ssl::error::stream_truncated || error == boost::asio::error::eof) {
    const bool shaken = connection != nullptr && SSL_is_init_finished(connection) == 1;
    return shaken ? "closed by the other side"
                  : "the other side hung up during the TLS handshake; does it speak TLS?";
  }
  if (error.category() != boost::asio::error::get_ssl_category()) return error.message();
  const int reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return verification(connection, settings_);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "the other side shows no certificate, and one signed by " + settings_.names.ca +
             (settings_.ca.empty() ? "" : " (" + settings_.ca + ")") + " is required; give it one";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return plain_text_words;
    case SSL_R_UNSUPPORTED_PROTOCOL: return "the other side speaks other versions of TLS";
    case SSL_R_NO_SHARED_CIPHER: return "the other side and this one have no cipher suite in common";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: return rejection(reason, settings_);
    default: return "TLS: " + error.message();
  }
}

bool looks_like_tls(std::string_view first_bytes) {
  // A record's type (21 alert, 22 handshake) and the major version (RFC 8446 §5.1).
  return first_bytes.size() >= 2 && (first_bytes[0] == 0x15 || first_bytes[0] == 0x16) &&
         first_bytes[1] == 0x03;
}

}  // namespace quorate::tls
