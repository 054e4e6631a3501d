#include "cli/help.h"

#include <gtest/gtest.h>

namespace quorate::cli {
namespace {

TEST(HelpPage, TellsWhatThereIsInTheOrderOfUse) {
  CLI::App app("Read keys.", "quorate get");
  app.formatter(std::make_shared<HelpPage>());
  app.footer("\nEXAMPLES\n  quorate get greeting");
  std::string text;
  int number = 3;
  bool flag = false;
  app.add_option("key", text, "the key")->required();
  app.add_option("end", text, "the end");
  app.add_option("-n,--nodes", number, "how many")->check(CLI::Range(1, 9))->capture_default_str();
  app.add_flag("--prefix", flag,
               "all keys that begin with the key, however many there are, one after the other")
      ->envname("PREFIX");
  app.add_option("--secret", text, "not for everybody")->group("");
  app.add_option("--endpoints", text, "where")->type_name("HOST:PORT[,...]")->group("Common options");
  EXPECT_EQ(app.help(), R"(Read keys.

USAGE
  quorate get [OPTIONS] key [end]

ARGUMENTS
  key                         the key
  end                         the end

OPTIONS
  -h, --help                  Print this help message and exit
  -n, --nodes 1..9            how many (3)
  --prefix                    all keys that begin with the key, however many there are, one after
                              the other

COMMON OPTIONS
  --endpoints HOST:PORT[,...] where

EXAMPLES
  quorate get greeting
)");
}

TEST(HelpPage, OfASubcommandEndsAsThatOfItsVerb) {
  CLI::App app("Members.", "quorate member");
  app.formatter(std::make_shared<HelpPage>());
  app.footer("EXAMPLES");
  app.require_subcommand(1);
  std::string name;
  auto* add = app.add_subcommand("add", "Add a member.");
  add->add_option("name", name, "its name")->required();
  EXPECT_NE(app.help().find("SUBCOMMANDS\n  add                         Add a member.\n"), std::string::npos);
  const std::string page = add->help("quorate member");
  EXPECT_TRUE(page.starts_with("Add a member.\n\nUSAGE\n  quorate member add [OPTIONS] name\n"));
  EXPECT_TRUE(page.ends_with("\nEXAMPLES\n"));
}

}  // namespace
}  // namespace quorate::cli
