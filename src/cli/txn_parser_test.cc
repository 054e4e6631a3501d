#include "cli/txn_parser.h"

#include <sstream>

#include <gmock/gmock.h>

namespace quorate::cli {
namespace {

namespace pb = ::etcdserverpb;
using ::testing::HasSubstr;

std::expected<pb::TxnRequest, std::string> parse(const std::string& text) {
  std::istringstream in(text);
  return parse_txn(
      [&]() -> std::optional<std::string> {
        std::string line;
        if (!std::getline(in, line)) return std::nullopt;
        return line;
      },
      [](std::string_view) {});
}

TEST(TxnParser, ReadsTheThreeParts) {
  const auto txn =
      parse("mod(\"k\") > \"0\"\nvalue(\"k\") = \"v\"\n\nput k v\nget k --prefix\n\ndel a b\n\n");
  ASSERT_TRUE(txn.has_value()) << txn.error();
  EXPECT_EQ(txn->compare_size(), 2);
  ASSERT_EQ(txn->success_size(), 2);
  EXPECT_EQ(txn->success(0).request_put().value(), "v");
  EXPECT_EQ(txn->success(1).request_range().range_end(), "l");
  ASSERT_EQ(txn->failure_size(), 1);
  EXPECT_EQ(txn->failure(0).request_delete_range().range_end(), "b");
}

TEST(TxnParser, EmptyPartsAndAnEarlyEndAreFine) {
  EXPECT_EQ(parse("")->ByteSizeLong(), 0U);
  EXPECT_EQ(parse("\n\n\n")->ByteSizeLong(), 0U);
  EXPECT_EQ(parse("\nput a b")->success_size(), 1);
}

TEST(TxnParser, KnowsEveryTargetAndOperator) {
  const struct {
    const char* line;
    pb::Compare::CompareTarget target;
    pb::Compare::CompareResult result;
  } cases[] = {
      {"mod(\"k\") > \"1\"", pb::Compare::MOD, pb::Compare::GREATER},
      {"m(\"k\")<\"1\"", pb::Compare::MOD, pb::Compare::LESS},
      {"create(\"k\") = \"1\"", pb::Compare::CREATE, pb::Compare::EQUAL},
      {"c(\"k\") != \"1\"", pb::Compare::CREATE, pb::Compare::NOT_EQUAL},
      {"ver(\"k\") = \"1\"", pb::Compare::VERSION, pb::Compare::EQUAL},
      {"version(\"k\") = \"1\"", pb::Compare::VERSION, pb::Compare::EQUAL},
      {"val(\"k\") = \"1\"", pb::Compare::VALUE, pb::Compare::EQUAL},
      {"  value ( \"k\" ) = \"1\"  ", pb::Compare::VALUE, pb::Compare::EQUAL},
      {"lease(\"k\") = \"1f\"", pb::Compare::LEASE, pb::Compare::EQUAL},
  };
  for (const auto& one : cases) {
    const auto compare = parse_compare(one.line);
    ASSERT_TRUE(compare.has_value()) << compare.error();
    EXPECT_EQ(compare->target(), one.target) << one.line;
    EXPECT_EQ(compare->result(), one.result) << one.line;
    EXPECT_EQ(compare->key(), "k");
  }
  EXPECT_EQ(parse_compare("lease(\"k\") = \"1f\"")->lease(), 31);
  EXPECT_EQ(parse_compare("mod(\"k\") = \"-5\"")->mod_revision(), -5);
  EXPECT_EQ(parse_compare(R"(value("a\")b") = "c\nd")")->key(), "a\")b");
  // A comparison with zero is set, not left out: absent and zero are the same on the wire, but not in
  // meaning.
  EXPECT_EQ(parse_compare("version(\"k\") = \"0\"")->target_union_case(), pb::Compare::kVersion);
}

TEST(TxnParser, SaysWhatIsWrong) {
  for (const auto* line :
       {"k", "mod(k) > \"0\"", "mod(\"k\") ~ \"0\"", "mod(\"k\") > 0", "mod(\"k\") > \"x\"",
        "mod(\"k\") > \"0\" x", "size(\"k\") > \"0\"", "mod(\"k\" > \"0\"", "lease(\"k\") = \"xyz\""}) {
    const auto compare = parse_compare(line);
    ASSERT_FALSE(compare.has_value()) << line;
    EXPECT_THAT(compare.error(), HasSubstr("malformed comparison: ")) << line;
  }
  EXPECT_THAT(parse("\nnonsense a\n").error(), HasSubstr("expecting get, put or del"));
  EXPECT_THAT(parse("\nput a\n").error(), HasSubstr("needs its value"));
  EXPECT_THAT(parse("\nput \"a\n").error(), HasSubstr("not closed"));
  EXPECT_THAT(parse("\nget a --nonsense\n").error(), HasSubstr("malformed operation"));
  EXPECT_THAT(parse("\nget a --prefix --from-key\n").error(), HasSubstr("choose one"));
}

}  // namespace
}  // namespace quorate::cli
