// The names of a certificate that was refused, kept with the connection: once a handshake has failed, the
// library no longer gives the certificate out.
#pragma once

#include <string>

#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace quorate::tls {

void remember_refused(X509_STORE_CTX* verification, X509* certificate);
[[nodiscard]] std::string refused_names(const SSL* connection);  // "a.example, 10.0.0.1"

}  // namespace quorate::tls
