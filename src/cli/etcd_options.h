// etcd's flags on a command line: those that count, those that are taken and change nothing, and those
// refused.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "server/etcd_flags.h"

namespace quorate::cli {

class EtcdOptions {
 public:
  // Every flag may also come from etcd's environment variable: --data-dir from ETCD_DATA_DIR.
  void add_to(CLI::App& app);

  void ignore_environment();

  [[nodiscard]] bool any() const;  // one that counts was given
  // The first one that was typed, not taken from the environment; empty if there is none.
  [[nodiscard]] std::string typed() const;
  // The configuration they describe, with a note for each that changes nothing.
  [[nodiscard]] std::expected<server::Config, std::string> configure() const;

  server::EtcdFlags flags;

 private:
  template <class T>
  void value(const std::string& name, T& to, const std::string& help, const char* type);
  void flag(const std::string& name, bool& to, const std::string& help);
  void add_cluster_flags();
  void add_limit_flags();
  void add_tls_flags();
  void keep(CLI::Option* option, const std::string& name);

  CLI::App* app_ = nullptr;
  std::vector<CLI::Option*> counting_;
  std::vector<CLI::Option*> idle_;
  std::vector<std::string> unused_;
};

}  // namespace quorate::cli
