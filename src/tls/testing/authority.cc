#include "tls/testing/authority.h"

#include <cstdio>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>

namespace quorate::tls::testing {
namespace {

void name(X509_NAME* to, const std::string& cn) {
  X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(cn.data()),
                             static_cast<int>(cn.size()), -1, 0);
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  if (extension == nullptr) throw std::invalid_argument(value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <class Write>
void write_file(const std::string& path, Write&& write) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"), &std::fclose);
  if (!file || write(file.get()) != 1) throw std::runtime_error(path);
}

}  // namespace

Authority::Authority(const std::string& cn) : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "quorate-tls-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error(pattern);
  directory_ = pattern;
  X509_set_version(certificate_, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate_), 86400);
  name(X509_get_subject_name(certificate_), cn);
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  X509_set_pubkey(certificate_, key_);
  extend(certificate_, certificate_, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate_, certificate_, NID_key_usage, "keyCertSign,cRLSign");
  X509_sign(certificate_, key_, EVP_sha256());
  write_file(ca(), [&](std::FILE* file) { return PEM_write_X509(file, certificate_); });
}

Authority::~Authority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Authority::Files Authority::issue(const std::string& file, const Wanted& wanted) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wanted.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.valid_until);
  name(X509_get_subject_name(certificate), wanted.cn);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  X509_set_pubkey(certificate, key);
  extend(certificate, certificate_, NID_subject_alt_name, wanted.names);
  extend(certificate, certificate_, NID_ext_key_usage, wanted.usage);
  X509_sign(certificate, key_, EVP_sha256());
  Files files{path(file + ".pem"), path(file + "-key.pem")};
  write_file(files.certificate, [&](std::FILE* out) { return PEM_write_X509(out, certificate); });
  write_file(files.key, [&](std::FILE* out) {
    return PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

std::string Authority::revoke(const Files& files) {
  X509* revoked = nullptr;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(files.certificate.c_str(), "r"),
                                                           &std::fclose);
  if (!in || PEM_read_X509(in.get(), &revoked, nullptr, nullptr) == nullptr) {
    throw std::runtime_error(files.certificate);
  }
  X509_CRL* list = X509_CRL_new();
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate_));
  ASN1_TIME* moment = X509_gmtime_adj(nullptr, -60);
  X509_CRL_set1_lastUpdate(list, moment);
  X509_REVOKED* entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
  X509_REVOKED_set_revocationDate(entry, moment);
  X509_CRL_add0_revoked(list, entry);
  X509_gmtime_adj(moment, 3600);
  X509_CRL_set1_nextUpdate(list, moment);
  X509_CRL_sign(list, key_, EVP_sha256());
  write_file(path("crl.pem"), [&](std::FILE* out) { return PEM_write_X509_CRL(out, list); });
  ASN1_TIME_free(moment);
  X509_CRL_free(list);
  X509_free(revoked);
  return path("crl.pem");
}

}  // namespace quorate::tls::testing
