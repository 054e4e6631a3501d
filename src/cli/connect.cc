// How client verbs reach the cluster: endpoints, certificates, users.
#include <fstream>
#include <regex>
#include <sstream>

#include <unistd.h>

#include "cli/command.h"
#include "client/etcd.h"
#include "tls/context.h"

namespace quorate::cli {
namespace {

using client::Endpoint;

constexpr const char* kClusterFile = "data/cluster.json";
constexpr const char* kDefaultEndpoint = "127.0.0.1:2379";

struct LocalCluster {
  std::string endpoints;
  std::string ca;  // of one with TLS
};

std::optional<LocalCluster> local_cluster() {
  std::ifstream file(kClusterFile);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  const std::string content = text.str();
  static const std::regex client_field("\"client\"\\s*:\\s*\"([^\"]+)\"");
  std::string found;
  for (std::sregex_iterator it(content.begin(), content.end(), client_field), end; it != end; ++it) {
    found += (found.empty() ? "" : ",") + (*it)[1].str();
  }
  if (found.empty()) return std::nullopt;
  static const std::regex ca_field("\"cacert\"\\s*:\\s*\"([^\"]+)\"");
  std::smatch ca;
  return LocalCluster{std::move(found), std::regex_search(content, ca, ca_field) ? ca[1].str() : ""};
}

// "name:password", or a name alone, whose password is another flag's or is asked for.
std::pair<std::string, std::string> split_user(const std::string& user, const std::string& password) {
  if (!password.empty()) return {user, password};
  if (const auto colon = user.find(':'); colon != std::string::npos) {
    return {user.substr(0, colon), user.substr(colon + 1)};
  }
  const char* typed = isatty(STDIN_FILENO) != 0 ? getpass("Password: ") : nullptr;
  if (typed == nullptr) throw Failure{kBadArguments, "--user needs a password: --user NAME:PASSWORD"};
  return {user, typed};
}

}  // namespace

std::shared_ptr<tls::Context> Command::tls() const {
  if (tls_) return tls_;
  tls::Settings settings;
  settings.certificate = globals_.certificate;
  settings.key = globals_.key;
  settings.ca = globals_.ca.empty() ? local_ca_ : globals_.ca;
  settings.verify = !globals_.skip_verify;
  settings.alpn = {"h2"};
  settings.names = {.certificate = "--cert",
                    .key = "--key",
                    .ca = globals_.ca.empty() ? "any CA of this system (see --cacert)" : "--cacert"};
  auto context = tls::Context::open(tls::Side::client, std::move(settings));
  if (!context) throw Failure{kBadArguments, context.error()};
  return tls_ = std::move(*context);
}

std::vector<Endpoint> Command::endpoints() const {
  if (!globals_.endpoints.empty()) return endpoints(globals_.endpoints);
  const auto local = local_cluster().value_or(LocalCluster{kDefaultEndpoint, ""});
  local_ca_ = local.ca;
  return endpoints(local.endpoints);
}

std::vector<Endpoint> Command::endpoints(const std::string& list) const {
  auto parsed = client::parse_endpoints(list);
  if (!parsed) throw Failure{kBadArguments, parsed.error()};
  const bool secure = !globals_.ca.empty() || !local_ca_.empty() || !globals_.certificate.empty() ||
                      !globals_.key.empty() || !globals_.insecure_transport;
  for (auto& endpoint : *parsed) {
    const bool unsaid = endpoint.scheme == Endpoint::Scheme::none;
    if (endpoint.scheme == Endpoint::Scheme::https || (unsaid && secure)) endpoint.tls = tls();
  }
  return std::move(*parsed);
}

client::Options Command::options(std::vector<Endpoint> endpoints) const {
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(s));
  };
  client::Options options;
  options.endpoints = std::move(endpoints);
  options.dial_timeout = seconds(globals_.dial_timeout);
  options.command_timeout = seconds(globals_.command_timeout);
  options.keep_alive_time = seconds(globals_.keepalive_time);
  options.keep_alive_timeout = seconds(globals_.keepalive_timeout);
  return options;
}

client::Metadata Command::credentials(const std::vector<Endpoint>& endpoints) const {
  if (globals_.user.empty() || credentials_) return credentials_.value_or(client::Metadata());
  client::rpc::pb::AuthenticateRequest request;
  const auto [name, password] = split_user(globals_.user, globals_.password);
  request.set_name(name);
  request.set_password(password);
  const auto answer = client::Client(options(endpoints)).call(client::rpc::authenticate, request);
  // As etcdctl has it, a cluster that asks nobody who they are serves those who say it, too.
  const bool open_to_all = !answer && answer.error().message == "etcdserver: authentication is not enabled";
  if (!answer && !open_to_all) throw Failure{kBadConnection, answer.error().message};
  credentials_ = open_to_all ? client::Metadata() : client::Metadata{{"token", answer->token()}};
  return *credentials_;
}

std::unique_ptr<client::Client> Command::connect() const { return connect(endpoints()); }

std::unique_ptr<client::Client> Command::connect(std::vector<Endpoint> endpoints) const {
  auto metadata = credentials(endpoints);
  auto all = options(std::move(endpoints));
  all.metadata = std::move(metadata);
  return std::make_unique<client::Client>(std::move(all));
}

}  // namespace quorate::cli
