#include "cli/dev_plan.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

namespace quorate::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Plans : public ::testing::Test {
 protected:
  Plans() {
    std::string pattern = (std::filesystem::temp_directory_path() / "quorate-plan-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
  }
  ~Plans() override { std::filesystem::remove_all(directory); }

  std::expected<DevPlan, std::string> plan(DevOptions options) {
    options.directory = directory;
    return make_plan(options);
  }
  std::string cluster_file() {
    std::ifstream in(directory + "/cluster.json");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string directory;
};

TEST_F(Plans, AreFoundAgain) {
  const auto first = plan({.nodes = 2, .protocol = "paxos", .directory = {}, .port = 2'579});
  ASSERT_TRUE(first) << first.error();
  ASSERT_TRUE(write_cluster_file(*first));
  EXPECT_THAT(cluster_file(), HasSubstr(R"({"nodes":[{"id":1,"pid":0,"client":"127.0.0.1:)"));
  EXPECT_THAT(cluster_file(), HasSubstr("\"data\":\"" + directory + "/n2\"}],\"protocol\":\"paxos\"}"));
  const auto again = plan({});
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->protocol, "paxos");
  EXPECT_FALSE(again->tls);
  EXPECT_EQ(again->nodes.at(1).client, first->nodes.at(1).client);
  EXPECT_EQ(again->nodes.at(1).peer, first->nodes.at(1).peer);
  EXPECT_EQ(again->endpoints(), first->endpoints());
}

TEST_F(Plans, DoNotChangeWhatIsThere) {
  const auto first = plan({.nodes = 3, .protocol = {}, .directory = {}, .port = 2'579});
  ASSERT_TRUE(first) << first.error();
  ASSERT_TRUE(write_cluster_file(*first));
  EXPECT_THAT(plan({.nodes = 5}).error(), HasSubstr("holds a cluster of 3 nodes"));
  EXPECT_THAT(plan({.nodes = 0, .protocol = "paxos"}).error(), HasSubstr("of protocol raft"));
  EXPECT_THAT(plan({.nodes = 0, .protocol = {}, .directory = {}, .port = 0, .tls = true}).error(),
              HasSubstr("without TLS"));
  std::ofstream(directory + "/cluster.json") << "{";
  EXPECT_THAT(plan({}).error(), HasSubstr("cluster.json is damaged"));
}

TEST_F(Plans, WithTlsTellWhomToTrust) {
  const auto first = plan({.nodes = 1, .protocol = {}, .directory = {}, .port = 2'579, .tls = true});
  ASSERT_TRUE(first) << first.error();
  ASSERT_TRUE(write_cluster_file(*first));
  EXPECT_THAT(cluster_file(), HasSubstr("\"cacert\":\"" + directory + "/tls/cert.pem\""));
  EXPECT_THAT(first->endpoints(), HasSubstr("https://127.0.0.1:"));
  const auto again = plan({});
  ASSERT_TRUE(again && again->tls);
  const std::string configuration = node_configuration(*again, again->nodes.front());
  EXPECT_THAT(configuration, HasSubstr("[node.tls]\ncertificate = "));
  EXPECT_THAT(configuration, HasSubstr("[keyspace.tls]\ncertificate = "));
  EXPECT_THAT(node_configuration({}, {}), Not(HasSubstr("tls")));
}

}  // namespace
}  // namespace quorate::cli
