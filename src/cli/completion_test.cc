// The scripts are made from the parsers' own definitions: what a verb takes must be what is offered.
#include <gmock/gmock.h>

#include "cli/verbs.h"

namespace quorate::cli {
namespace {

using ::testing::HasSubstr;

std::string output_of(std::vector<std::string> args) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(completion(std::move(args)), 0);
  return ::testing::internal::GetCapturedStdout();
}

TEST(Completion, OffersVerbsSubcommandsAndFlags) {
  complete_also({"watching", "shows itself", &watch});
  const std::string bash = output_of({"bash"});
  EXPECT_THAT(bash, HasSubstr("get put del txn watch"));
  EXPECT_THAT(bash, HasSubstr("completion watching"));
  EXPECT_THAT(bash, HasSubstr("\"watching \"*) words=\" --help -h"));
  EXPECT_THAT(
      bash, HasSubstr("\"lease \"*) words=\"grant revoke timetolive list keep-alive --help -h --endpoints"));
  EXPECT_THAT(bash, HasSubstr("\"lease timetolive\") words=\"--help -h --keys --endpoints"));
  EXPECT_THAT(bash, HasSubstr("--cacert --cert --key"));
  EXPECT_THAT(output_of({"zsh"}), HasSubstr("#compdef quorate"));
  EXPECT_THAT(
      output_of({"fish"}),
      HasSubstr("'__fish_seen_subcommand_from member; and __fish_seen_subcommand_from add' -l learner"));
}

TEST(Completion, AsksForAShell) { EXPECT_EQ(completion({}), 128); }

}  // namespace
}  // namespace quorate::cli
