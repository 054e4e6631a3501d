#include "tls/self_signed.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include <boost/asio/ip/address.hpp>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace quorate::tls {
namespace {

constexpr long day = 86'400;

template <auto release>
struct Release {
  template <class T>
  void operator()(T* what) const {
    release(what);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Release<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Release<&X509_free>>;
using File = std::unique_ptr<std::FILE, Release<&std::fclose>>;

bool lasts(const std::string& file) {
  const File in(std::fopen(file.c_str(), "r"));
  if (!in) return false;
  const Certificate found(PEM_read_X509(in.get(), nullptr, nullptr, nullptr));
  if (!found) return false;
  std::time_t tomorrow = std::time(nullptr) + day;
  return X509_cmp_time(X509_get0_notAfter(found.get()), &tomorrow) > 0;
}

void extend(X509* certificate, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  if (X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str())) {
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string names;
  for (const auto& host : hosts) {
    boost::system::error_code not_literal;
    boost::asio::ip::make_address(host, not_literal);
    names += (names.empty() ? "" : ",") + std::string(not_literal ? "DNS:" : "IP:") + host;
  }
  return names;
}

Certificate make(EVP_PKEY* key, const std::vector<std::string>& hosts) {
  Certificate made(X509_new());
  X509* certificate = made.get();
  X509_set_version(certificate, X509_VERSION_3);
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1U);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -day);  // for those whose clock is late
  X509_gmtime_adj(X509_getm_notAfter(certificate), 365 * day);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("quorate"), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key);
  extend(certificate, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign");
  extend(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
  extend(certificate, NID_basic_constraints, "critical,CA:TRUE");  // some clients trust nothing else
  extend(certificate, NID_subject_alt_name, alternative_names(hosts));
  return X509_sign(certificate, key, EVP_sha256()) != 0 ? std::move(made) : nullptr;
}

// In place at once, or not at all.
template <class Write>
std::expected<void, std::string> put(const std::string& file, mode_t mode, Write&& write) {
  const std::string fresh = file + ".new";
  const int descriptor = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (descriptor < 0) return std::unexpected(fresh + ": " + std::strerror(errno));
  File out(::fdopen(descriptor, "w"));
  const bool written = out && write(out.get()) == 1 && std::fflush(out.get()) == 0;
  out.reset();
  if (!written || std::rename(fresh.c_str(), file.c_str()) != 0)
    return std::unexpected(file + ": can not be written");
  return {};
}

}  // namespace

std::expected<CertificateFiles, std::string> self_signed(const std::string& directory,
                                                         const std::vector<std::string>& hosts) {
  CertificateFiles files{directory + "/cert.pem", directory + "/key.pem"};
  if (lasts(files.certificate) && ::access(files.key.c_str(), R_OK) == 0) return files;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return std::unexpected(directory + ": " + error.message());
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = key ? make(key.get(), hosts) : nullptr;
  if (!certificate) return std::unexpected(files.certificate + ": no certificate could be made");
  auto done = put(files.key, 0600, [&](std::FILE* out) {
    return PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (done)
    done =
        put(files.certificate, 0644, [&](std::FILE* out) { return PEM_write_X509(out, certificate.get()); });
  if (!done) return std::unexpected(done.error());
  return files;
}

}  // namespace quorate::tls
