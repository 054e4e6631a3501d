#include "tls/refused.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>
#include <openssl/x509v3.h>

namespace quorate::tls {
namespace {

namespace ip = boost::asio::ip;

int refused_index() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* names, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(names); });
  return index;
}

std::string address_in(const std::string& bytes) {
  if (bytes.size() == 4) {
    ip::address_v4::bytes_type raw;
    std::copy(bytes.begin(), bytes.end(), raw.begin());
    return ip::address_v4(raw).to_string();
  }
  ip::address_v6::bytes_type raw{};
  if (bytes.size() != raw.size()) return "?";
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  return ip::address_v6(raw).to_string();
}

std::string names_in(X509* certificate) {
  std::string out;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const auto* value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    const std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                           static_cast<std::size_t>(ASN1_STRING_length(value)));
    out += (out.empty() ? "" : ", ") + (type == GEN_IPADD ? address_in(text) : text);
  }
  sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
  return out.empty() ? "no name or address at all" : out;
}

}  // namespace

void remember_refused(X509_STORE_CTX* verification, X509* certificate) {
  auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (connection == nullptr || certificate == nullptr) return;
  delete static_cast<std::string*>(SSL_get_ex_data(connection, refused_index()));
  SSL_set_ex_data(connection, refused_index(), new std::string(names_in(certificate)));
}

std::string refused_names(const SSL* connection) {
  const auto* names = connection == nullptr
                          ? nullptr
                          : static_cast<const std::string*>(SSL_get_ex_data(connection, refused_index()));
  return names == nullptr ? "other names" : *names;
}

}  // namespace quorate::tls
