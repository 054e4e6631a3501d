#include "cli/text.h"

#include <gmock/gmock.h>

#include "api/proto/rpc.pb.h"
#include "cli/printers.h"

namespace quorate::cli {
namespace {

using ::testing::ElementsAre;

TEST(Table, CentresHeadingsAndPutsCellsToTheRight) {
  Table table({"ID", "IS LEADER"});
  table.row({"2c902495", "true"});
  table.row({"é", "false"});
  EXPECT_EQ(table.str(),
            "+----------+-----------+\n"
            "|    ID    | IS LEADER |\n"
            "+----------+-----------+\n"
            "| 2c902495 |      true |\n"
            "|        é |     false |\n"
            "+----------+-----------+\n");
}

TEST(Text, FitsALineIntoColumns) {
  EXPECT_EQ(fitting("leader n1", 20), "leader n1");
  EXPECT_EQ(fitting("leader n1", 6), "leader");
  EXPECT_EQ(fitting("a \u00b7 b", 3), "a \u00b7");
  EXPECT_EQ(fitting("\033[32mn1 up\033[0m n2", 5), "\033[32mn1 up\033[0m");
  EXPECT_EQ(fitting("\033[32mn1 up\033[0m", 2), "\033[32mn1\033[0m");
}

TEST(Text, QuotesAnyBytes) {
  EXPECT_EQ(quote("plain ü"), "\"plain ü\"");
  EXPECT_EQ(quote("a\"b\\c\nd\te"), R"("a\"b\\c\nd\te")");
  EXPECT_EQ(quote(std::string("\0\x7f\xff", 3)), R"("\x00\x7f\xff")");
  EXPECT_EQ(quote("\xc0\xaf"), R"("\xc0\xaf")");          // an overlong form is no UTF-8
  EXPECT_EQ(quote("\xed\xa0\x80"), R"("\xed\xa0\x80")");  // nor is a surrogate
  EXPECT_EQ(hex_bytes("aZ"), R"(\x61\x5a)");
}

TEST(Text, Base64IsThatOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(Text, JsonStringsAreAlwaysValid) {
  EXPECT_EQ(json_string("a\"\\\n\x01<ü"), R"("a\"\\\n\u0001\u003cü")");
  EXPECT_EQ(json_string("\xff"), R"("\ufffd")");
}

TEST(Text, SizesAndDurationsReadWell) {
  EXPECT_EQ(human_bytes(9), "9 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(20480), "20 kB");
  EXPECT_EQ(human_bytes(1234567890), "1.2 GB");
  EXPECT_EQ(human_duration(std::chrono::nanoseconds(2359262)), "2.359262ms");
  EXPECT_EQ(human_duration(std::chrono::milliseconds(1500)), "1.5s");
  EXPECT_EQ(human_duration(std::chrono::microseconds(12)), "12µs");
}

TEST(Text, PrefixEndIsTheFirstKeyBehindAllOfThem) {
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), std::string(1, '\0'));
  EXPECT_EQ(prefix_end(""), std::string(1, '\0'));
}

TEST(Words, AreSplitAtBlanksOutsideQuotes) {
  EXPECT_THAT(split_words(R"(put  key "two words" 'and $more')").words,
              ElementsAre("put", "key", "two words", "and $more"));
  EXPECT_THAT(split_words(R"("\"\\\n\x41" a"b"c '')").words, ElementsAre("\"\\\nA", "abc", ""));
  EXPECT_THAT(split_words(quote("\a\b\f\n\r\t\v\\\"\x01'\xff é")).words,
              ElementsAre("\a\b\f\n\r\t\v\\\"\x01'\xff é"));
  EXPECT_TRUE(split_words("").words.empty());
  EXPECT_FALSE(split_words("\"open").error.empty());
  EXPECT_FALSE(split_words("'open").error.empty());
  EXPECT_FALSE(split_words(R"("\x4")").error.empty());
}

// etcdctl's form: proto names, numbers as numbers, defaults left out, a choice under its Go name.
TEST(Json, IsEtcdctls) {
  pb::TxnResponse response;
  response.mutable_header()->set_cluster_id(14841639068965178418U);
  response.set_succeeded(true);
  auto* kv = response.add_responses()->mutable_response_range()->add_kvs();
  kv->set_key("foo");
  kv->set_mod_revision(2);
  response.add_responses()->mutable_response_put();
  EXPECT_EQ(
      json(response),
      R"({"header":{"cluster_id":14841639068965178418},"succeeded":true,"responses":[)"
      R"({"Response":{"ResponseRange":{"kvs":[{"key":"Zm9v","mod_revision":2}]}}},{"Response":{"ResponsePut":{}}}]})");
  pb::WatchResponse watch;
  auto* event = watch.add_events();
  event->set_type(mvccpb::Event::DELETE);
  EXPECT_EQ(json(*event), R"({"type":1})");
}

TEST(Printers, ShowARangeInEveryFormat) {
  pb::RangeResponse response;
  response.mutable_header()->set_revision(7);
  auto* kv = response.add_kvs();
  kv->set_key("k");
  kv->set_value("v\n");
  kv->set_lease(0x1f);
  response.set_count(1);
  EXPECT_EQ(show(response, {}), "k\nv\n\n");
  EXPECT_EQ(show(response, {.values_only = true}), "v\n\n");
  EXPECT_EQ(show(response, {.hex = true}), "\\x6b\n\\x76\\x0a\n");
  EXPECT_EQ(show(response, {.count_only = true}), "1\n");
  EXPECT_EQ(
      show(response, {.format = Format::fields}),
      "\"ClusterID\" : 0\n\"MemberID\" : 0\n\"Revision\" : 7\n\"RaftTerm\" : 0\n\"Key\" : \"k\"\n"
      "\"CreateRevision\" : 0\n\"ModRevision\" : 0\n\"Version\" : 0\n\"Value\" : \"v\\n\"\n\"Lease\" : 31\n"
      "\"More\" : false\n\"Count\" : 1\n");
  EXPECT_THAT(show(response, {.format = Format::table}), ::testing::HasSubstr("|   k | \"v\\n\" |"));
}

}  // namespace
}  // namespace quorate::cli
