#include "server/etcd_yaml.h"

#include <gmock/gmock.h>

namespace quorate::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

auto flags(const std::string& text) {
  return flags_of_yaml(text, "etcd.conf.yml", [](const std::string& flag) {
    return flag != "--nonsense" && flag != "--peer-nonsense";
  });
}

TEST(EtcdYaml, KeysAreFlags) {
  EXPECT_THAT(flags("# a comment\nname: 'n 1'\nsnapshot-count: 10000\nstrict-reconfig-check: false\n"
                    "wal-dir:\ncors:\nlog-outputs: [stderr, /var/log/etcd]\n")
                  .value(),
              ElementsAre("--name=n 1", "--snapshot-count=10000", "--strict-reconfig-check=false",
                          "--log-outputs=stderr,/var/log/etcd"));
  EXPECT_THAT(flags("").value(), ElementsAre());
}

TEST(EtcdYaml, CertificatesStandInTwoTables) {
  EXPECT_THAT(flags("client-transport-security:\n  cert-file: c.pem\n  client-cert-auth: true\n"
                    "peer-transport-security:\n  trusted-ca-file: ca.pem\n  auto-tls: false\n")
                  .value(),
              ElementsAre("--cert-file=c.pem", "--client-cert-auth=true", "--peer-trusted-ca-file=ca.pem",
                          "--peer-auto-tls=false"));
  EXPECT_THAT(flags("client-transport-security:\npeer-transport-security:\n").value(), ElementsAre());
}

TEST(EtcdYaml, MistakesNameFileLineAndKey) {
  EXPECT_THAT(flags("name: a\nnonsense: 1\n").error(), StartsWith("etcd.conf.yml:2: nonsense: unknown key"));
  EXPECT_THAT(flags("peer-transport-security:\n  nonsense: 1\n").error(),
              StartsWith("etcd.conf.yml:2: peer-transport-security.nonsense: unknown key"));
  EXPECT_THAT(flags("name: {a: 1}\n").error(), HasSubstr(":1: name: must be a word"));
  EXPECT_THAT(flags("name: [[a]]\n").error(), HasSubstr("must be a list of words"));
  EXPECT_THAT(flags("client-transport-security: yes\n").error(), HasSubstr("must be a table"));
  EXPECT_THAT(flags("- a\n- b\n").error(), HasSubstr("must be a table of etcd's settings"));
  EXPECT_THAT(flags("name: a\n\tb: c\n").error(), StartsWith("etcd.conf.yml:2: not valid YAML"));
  EXPECT_THAT(flags("? [a]\n: b\n").error(), HasSubstr("a key must be a word"));
  EXPECT_THAT(read_etcd_yaml("nowhere.yml", [](const auto&) { return true; }).error(),
              HasSubstr("nowhere.yml can not be read"));
}

}  // namespace
}  // namespace quorate::server
