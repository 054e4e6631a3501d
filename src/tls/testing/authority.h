// A certificate authority for tests: certificates as files in a directory of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <openssl/x509v3.h>

namespace quorate::tls::testing {

class Authority {
 public:
  explicit Authority(const std::string& name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  struct Wanted {
    std::string cn;
    std::string names = "IP:127.0.0.1,DNS:localhost";  // subjectAltName, as OpenSSL writes them; empty: none
    std::string usage = "serverAuth,clientAuth";       // extendedKeyUsage
    long valid_from = -60;                             // seconds from now
    long valid_until = 3600;
  };
  struct Files {
    std::string certificate;
    std::string key;
  };
  // Writes (again) `file`.pem and `file`-key.pem.
  Files issue(const std::string& file, const Wanted& wanted);
  Files issue(const std::string& file) { return issue(file, {.cn = file}); }
  // A list in which the given certificate is revoked.
  std::string revoke(const Files& files);

  [[nodiscard]] std::string ca() const { return path("ca.pem"); }
  [[nodiscard]] std::string path(const std::string& file) const { return (directory_ / file).string(); }

 private:
  std::filesystem::path directory_;
  EVP_PKEY* key_;
  X509* certificate_;
  long serial_ = 1;
};

}  // namespace quorate::tls::testing
