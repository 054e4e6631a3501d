// A certificate made on the spot: for --auto-tls, and for a local cluster to try TLS with.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace quorate::tls {

struct CertificateFiles {
  std::string certificate;
  std::string key;
};

// `directory`/cert.pem and key.pem: a certificate that signs itself, for servers and clients, valid a year
// for `hosts` (names and IP addresses). One that is there stays while it is valid for a day more; a renewed
// one is taken up by those who trusted the old file only once they read it again. The error names the file.
[[nodiscard]] std::expected<CertificateFiles, std::string> self_signed(const std::string& directory,
                                                                       const std::vector<std::string>& hosts);

}  // namespace quorate::tls
