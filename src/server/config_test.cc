#include "server/config.h"

#include <gmock/gmock.h>

namespace quorate::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const char* const good = R"(
[node]
id = 1
data = "data/n1"
peers = ["1=127.0.0.1:7001", "2=127.0.0.1:7002", "3=127.0.0.1:7003"]

[[keyspace]]
name = "config"
protocol = "raft"
model = "etcd"
listen = "127.0.0.1:2379"
)";

std::expected<Config, std::string> parse(const std::string& text) {
  return parse_config(text, "q.toml", {"raft", "paxos"});
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = good;
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(ConfigFile, TheExampleOfTheDesign) {
  auto config = parse(good);
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->id, NodeId(1));
  EXPECT_EQ(config->name, "n1");
  EXPECT_EQ(config->data, "data/n1");
  EXPECT_EQ(config->members.size(), 3U);
  EXPECT_THAT(config->peer_urls, ElementsAre("http://127.0.0.1:7001"));
  EXPECT_THAT(config->listen_peers, ElementsAre(net::Address{"127.0.0.1", 7001}));
  ASSERT_EQ(config->keyspaces.size(), 1U);
  EXPECT_EQ(config->keyspaces[0].protocol, "raft");
  EXPECT_THAT(config->keyspaces[0].client_urls, ElementsAre("http://127.0.0.1:2379"));
}

TEST(ConfigFile, OneNodeNeedsNoPeers) {
  auto config = parse("[node]\nid = 1\ndata = \"d\"\n[[keyspace]]\nname = \"k\"\nlisten = \"127.0.0.1:1\"\n");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->members.size(), 1U);
  EXPECT_TRUE(config->listen_peers.empty());
}

TEST(ConfigFile, WhereOthersReachANodeMayDifferFromWhereItListens) {
  auto config =
      parse(changed("id = 1\n", "join = true\nlisten = \"127.0.0.1:9\"\nadvertise = \"10.0.0.1:8\"\n"));
  ASSERT_TRUE(config) << config.error();
  EXPECT_THAT(config->peer_urls, ElementsAre("http://10.0.0.1:8"));
  EXPECT_THAT(config->listen_peers, ElementsAre(net::Address{"127.0.0.1", 9}));
}

TEST(ConfigFile, ADamagedLogIsRepairedUnlessRefused) {
  EXPECT_TRUE(parse(good)->repair);
  EXPECT_FALSE(parse(changed("id = 1\n", "id = 1\nrepair = \"refuse\"\n"))->repair);
  EXPECT_FALSE(parse(changed("id = 1\n", "id = 1\nrepair = \"never\"\n")));
}

TEST(ConfigFile, AQuotaIsNoneUnlessSaid) {
  const auto quota = [](const std::string& line) {
    return parse(std::string(good) + line).value().keyspaces.at(0).quota;
  };
  EXPECT_EQ(quota(""), 0U);
  EXPECT_EQ(quota("quota = \"3GiB\""), std::uint64_t{3} << 30U);
  EXPECT_EQ(quota("quota = 67108864"), 64U << 20U);
  EXPECT_EQ(quota("quota = 0"), std::uint64_t{2} << 30U) << "etcd's default";
  EXPECT_EQ(quota("quota = -1"), 0U);
  EXPECT_THAT(parse(std::string(good) + "quota = 1").error(), HasSubstr("quota: must be a size"));
}

TEST(ConfigFile, TlsOfClientsAndPeers) {
  const auto config = parse(changed("[[keyspace]]", R"([node.tls]
certificate = "n1.pem"
key = "n1-key.pem"
ca = "ca.pem"

[[keyspace]])") + R"([keyspace.tls]
certificate = "c.pem"
key = "c-key.pem"
min_version = "TLS1.3"
)");
  ASSERT_TRUE(config) << config.error();
  ASSERT_TRUE(config->peer_tls);
  EXPECT_EQ(config->peer_tls->ca, "ca.pem");
  EXPECT_TRUE(config->peer_tls->verify) << "with a CA, certificates are checked";
  EXPECT_THAT(config->peer_urls, ElementsAre("https://127.0.0.1:7001")) << "what names no scheme is https";
  const auto& keyspace = config->keyspaces.at(0);
  EXPECT_TRUE(keyspace.listen.at(0).tls);
  EXPECT_THAT(keyspace.client_urls, ElementsAre("https://127.0.0.1:2379"));
  EXPECT_FALSE(keyspace.tls.value().verify);
  EXPECT_EQ(keyspace.tls->lowest, tls::Version::tls13);
}

TEST(ConfigFile, TlsMistakes) {
  const auto error = [](const std::string& table) {
    const auto config = parse(std::string(good) + "[keyspace.tls]\n" + table);
    return config ? std::string("accepted") : config.error();
  };
  EXPECT_THAT(error("key = \"k\""), StartsWith("q.toml:12: keyspace.tls.certificate is missing"));
  const std::string both = "certificate = \"c\"\nkey = \"k\"\n";
  EXPECT_THAT(error(both + "require_certificate = true"),
              StartsWith("q.toml:12: keyspace.tls.ca is missing"));
  EXPECT_THAT(error(both + "ciphers = \"RC4\""), HasSubstr("no cipher suite"));
  EXPECT_THAT(error(both + "min_version = \"SSL3\""), HasSubstr("allowed: TLS1.2, TLS1.3"));
  EXPECT_THAT(parse(changed("\"127.0.0.1:2379\"", "\"https://127.0.0.1:2379\"")).error(),
              StartsWith("q.toml:11: keyspace.listen: https needs a table [keyspace.tls]"));
}

TEST(ConfigFile, LimitsOnClients) {
  const auto config = parse(std::string(good) +
                            "max_request_bytes = \"2MiB\"\nmax_txn_ops = 7\nping_min_time = \"5s\"\n"
                            "gateway = false\ncors = \"*\"\nhosts = [\"a\", \"b\"]\n"
                            "listen_metrics = \"127.0.0.1:2381\"\n");
  ASSERT_TRUE(config) << config.error();
  const auto& keyspace = config->keyspaces.at(0);
  EXPECT_EQ(keyspace.max_request_bytes, 2U << 20U);
  EXPECT_EQ(keyspace.max_txn_ops, 7U);
  EXPECT_EQ(keyspace.ping_min_time, 5s);
  EXPECT_FALSE(keyspace.gateway);
  EXPECT_THAT(keyspace.cors, ElementsAre("*"));
  EXPECT_THAT(keyspace.hosts, ElementsAre("a", "b"));
  EXPECT_THAT(keyspace.listen_metrics, ElementsAre(net::Address{"127.0.0.1", 2381}));
  EXPECT_THAT(parse(std::string(good) + "max_request_bytes = \"64MiB\"").error(), HasSubstr("at most"));
}

struct Mistake {
  const char* from;
  const char* to;
  const char* line;   // how the message begins
  const char* words;  // and what it says
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsToldByFileLineAndKey) {
  auto config = parse(changed(GetParam().from, GetParam().to));
  ASSERT_FALSE(config.has_value());
  EXPECT_THAT(config.error(), StartsWith(GetParam().line));
  EXPECT_THAT(config.error(), HasSubstr(GetParam().words));
  EXPECT_THAT(config.error(), testing::Not(HasSubstr("\n")));
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigMistake,
    testing::Values(
        Mistake{"id = 1\n", "id = 4\n", "q.toml:3: node.id:", "node 4 is not among peers"},
        Mistake{"id = 1\n", "id = \"1\"\n", "q.toml:3: node.id:", "whole number from 1"},
        Mistake{"id = 1\n", "id = -1\n", "q.toml:3: node.id:", "whole number from 1"},
        Mistake{"id = 1\n", "", "q.toml:2: node.id is missing", "a number from 1"},
        Mistake{"data = ", "dta = ", "q.toml:2: node.data is missing", "directory"},
        Mistake{"id = 1\n", "id = 1\nlsten = 1\n", "q.toml:4: node.lsten: unknown key",
                "did you mean listen?"},
        Mistake{"2=127.0.0.1:7002", "2:127.0.0.1:7002", "q.toml:5: node.peers:", "must be ID=HOST:PORT"},
        Mistake{"2=127.0.0.1:7002", "2=127.0.0.1", "q.toml:5: node.peers:", "has no port"},
        Mistake{"2=127.0.0.1:7002", "1=127.0.0.1:7002", "q.toml:5: node.peers:", "node 1 is there twice"},
        Mistake{"2=127.0.0.1:7002", "2=127.0.0.1:7001", "q.toml:5: node.peers:", "the same address"},
        Mistake{"\"raft\"", "\"raaft\"", "q.toml:9: keyspace.protocol: unknown value \"raaft\"",
                "allowed: raft, paxos"},
        Mistake{"\"etcd\"", "\"zookeeper\"", "q.toml:10: keyspace.model: unknown value", "allowed: etcd"},
        Mistake{"name = \"config\"", "name = \"a/b\"", "q.toml:8: keyspace.name:", "letters, digits"},
        Mistake{"name = \"config\"\n", "", "q.toml:7: keyspace.name is missing", "the same at every node"},
        Mistake{"\"127.0.0.1:2379\"", "2379", "q.toml:11: keyspace.listen:", "a string or an array"},
        Mistake{"\"127.0.0.1:2379\"", "\"127.0.0.1:99999\"",
                "q.toml:11: keyspace.listen:", "between 1 and 65535"},
        Mistake{"model = \"etcd\"", "heartbeat = \"1 week\"",
                "q.toml:10: keyspace.heartbeat:", "such as \"150ms\""},
        Mistake{"model = \"etcd\"", "heartbeat = \"100ms\"", "q.toml:10: keyspace.heartbeat:", "three times"},
        Mistake{"model = \"etcd\"", "cache = \"10\"", "q.toml:10: keyspace.cache:", "\"64MiB\""},
        Mistake{"id = 1", "id = 1\nmemory = \"1MiB\"", "q.toml:4: node.memory:", "at least 33554432"},
        Mistake{"[node]", "[node", "q.toml:2: not valid TOML", ""},
        Mistake{"[node]", "colour = 1\n[node]", "q.toml:2: colour: unknown key", "allowed:"},
        Mistake{"[[keyspace]]", "[keyspace]", "q.toml:7: keyspace:", "[[keyspace]]"}));

TEST(ConfigFile, KeyspacesDoNotShareNamesOrAddresses) {
  auto same_name =
      parse(std::string(good) + "[[keyspace]]\nname = \"config\"\nlisten = \"127.0.0.1:2380\"\n");
  ASSERT_FALSE(same_name);
  EXPECT_THAT(same_name.error(), HasSubstr("there twice"));
  auto same_port = parse(std::string(good) + "[[keyspace]]\nname = \"other\"\nlisten = \"127.0.0.1:2379\"\n");
  ASSERT_FALSE(same_port);
  EXPECT_THAT(same_port.error(), HasSubstr("also the address of keyspace \"config\""));
}

TEST(ConfigFile, AFileThatIsNotThereIsNamed) {
  auto config = read_config("nowhere/q.toml", {"raft"});
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error(), StartsWith("nowhere/q.toml: cannot be read"));
}

TEST(ClusterId, DependsOnNameAndMembers) {
  const auto three = parse(good)->members;
  auto two = three;
  two.erase(NodeId(3));
  EXPECT_EQ(cluster_id("a", three), cluster_id("a", three));
  EXPECT_NE(cluster_id("a", three), cluster_id("b", three));
  EXPECT_NE(cluster_id("a", three), cluster_id("a", two));
}

}  // namespace
}  // namespace quorate::server
