// Endpoints, status, frames, workloads: what needs no connection.
#include <map>

#include <gmock/gmock.h>

#include "api/proto/rpc.pb.h"
#include "client/endpoint.h"
#include "client/frame.h"
#include "client/status.h"
#include "client/workload.h"

namespace quorate::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Endpoint, TakesTheUsualForms) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:2379")->authority(), "127.0.0.1:2379");
  EXPECT_EQ(parse_endpoint("http://db.local:80/")->host, "db.local");
  EXPECT_EQ(parse_endpoint("[::1]:2379")->host, "::1");
  EXPECT_EQ(parse_endpoint("[::1]:2379")->authority(), "[::1]:2379");
  EXPECT_EQ(parse_endpoint("https://db.local:443")->host, "db.local");
  EXPECT_EQ(parse_endpoint("https://db.local:443")->scheme, Endpoint::Scheme::https);
  EXPECT_EQ(parse_endpoint("db.local:80")->scheme, Endpoint::Scheme::none);
  EXPECT_EQ(parse_endpoints("a:1,b:2")->size(), 2U);
}

TEST(Endpoint, SaysWhatIsWrong) {
  EXPECT_THAT(parse_endpoint("localhost").error(), HasSubstr("no port"));
  EXPECT_THAT(parse_endpoint("localhost:0").error(), HasSubstr("1 to 65535"));
  EXPECT_THAT(parse_endpoint("localhost:65536").error(), HasSubstr("1 to 65535"));
  EXPECT_THAT(parse_endpoint("localhost:12x").error(), HasSubstr("1 to 65535"));
  EXPECT_THAT(parse_endpoint(":2379").error(), HasSubstr("no host"));
  EXPECT_THAT(parse_endpoint("::1:2379").error(), HasSubstr("brackets"));
  EXPECT_FALSE(parse_endpoints("a:1,,b:2").has_value());
  EXPECT_FALSE(parse_endpoints("").has_value());
}

TEST(Status, ReadsTrailers) {
  EXPECT_EQ(code_from_trailer("14"), Code::unavailable);
  EXPECT_EQ(code_from_trailer("0"), Code::ok);
  for (const auto* text : {"", "x", "17", "-1", "1 "})
    EXPECT_EQ(code_from_trailer(text), Code::unknown) << text;
  EXPECT_EQ(percent_decode("a%20b%2C%e2%82%ac"), "a b,€");
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz"), "%zz");
  EXPECT_EQ(percent_decode("%41"), "A");
}

TEST(Deframer, PutsMessagesTogetherHoweverTheyAreCut) {
  const std::string bytes = frame("one") + frame("") + frame(std::string(1000, 'x'));
  for (const std::size_t step : {1UL, 2UL, 4UL, 5UL, 7UL, 999UL, bytes.size()}) {
    Deframer deframer;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(deframer.feed(std::string_view(bytes).substr(at, step),
                                [&](std::string_view m) { got.emplace_back(m); }));
    }
    EXPECT_THAT(got, ElementsAre("one", "", std::string(1000, 'x'))) << step;
    EXPECT_TRUE(deframer.empty());
  }
}

TEST(Deframer, RefusesWhatIsCompressedOrTooLong) {
  std::string compressed = frame("x");
  compressed[0] = 1;
  const auto ignore = [](std::string_view) {};
  EXPECT_FALSE(Deframer().feed(compressed, ignore));
  EXPECT_FALSE(Deframer().feed(frame(std::string(11, 'x')), ignore, 10));
  EXPECT_TRUE(Deframer().feed(frame(std::string(10, 'x')), ignore, 10));
}

TEST(Workload, ReadsMixes) {
  EXPECT_THAT(*parse_mix("put"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(*parse_mix("get=9,put=1,txn"), ElementsAre(1, 9, 0, 1));
  for (const auto* bad : {"", "got", "put=", "put=x", "put=0", "put=1=2"})
    EXPECT_FALSE(parse_mix(bad)) << bad;
}

TEST(Workload, MakesRequestsThatParse) {
  WorkloadOptions options;
  options.weights = {1, 1, 1, 1};
  options.keys = 3;
  options.value_size = 10;
  options.prefix = "p/";
  Workload workload(options);
  std::map<std::string, int> keys;
  std::array<int, kOpKinds> kinds{};
  for (int i = 0; i < 400; ++i) {
    const auto op = workload.next();
    ++kinds[static_cast<std::size_t>(op.kind)];
    const auto message = std::string(op.frames.substr(kFrameHeader));
    switch (op.kind) {
      case OpKind::put: {
        etcdserverpb::PutRequest request;
        ASSERT_TRUE(request.ParseFromString(message));
        EXPECT_EQ(request.value().size(), 10U);
        ++keys[request.key()];
        break;
      }
      case OpKind::txn: {
        etcdserverpb::TxnRequest request;
        ASSERT_TRUE(request.ParseFromString(message));
        EXPECT_EQ(request.compare(0).key(), request.success(0).request_put().key());
        EXPECT_EQ(request.compare(0).key(), request.failure(0).request_put().key());
        ++keys[request.compare(0).key()];
        break;
      }
      case OpKind::get:
      case OpKind::serializable_get: {
        etcdserverpb::RangeRequest request;
        ASSERT_TRUE(request.ParseFromString(message));
        EXPECT_EQ(request.serializable(), op.kind == OpKind::serializable_get);
        ++keys[request.key()];
      }
    }
  }
  EXPECT_EQ(keys.size(), 3U);
  EXPECT_TRUE(keys.contains("p/0000000002"));
  for (const int count : kinds) EXPECT_GT(count, 50);
}

TEST(Workload, ZipfPrefersFewKeys) {
  WorkloadOptions options;
  options.distribution = Distribution::zipf;
  options.keys = 1000;
  Workload workload(options);
  std::map<std::string, int> counts;
  for (int i = 0; i < 10000; ++i) ++counts[std::string(workload.next().frames)];
  int most = 0;
  for (const auto& [request, count] : counts) most = std::max(most, count);
  EXPECT_GT(most, 500);  // uniform: about 10
  EXPECT_LT(counts.size(), 1000U);
}

}  // namespace
}  // namespace quorate::client
