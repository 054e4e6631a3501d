#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

#include "sim/scenario.h"
#include "sim/theatre/brief.h"
#include "sim/theatre/illustrations.h"

namespace quorate::sim {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Brief, TellsMessagesInTheWordsOfThePapers) {
  EXPECT_EQ(brief(R"({"type":"Accept","n":{"round":1,"node":2},"value":"v"})"), "Accept n=1.2 value=v");
  EXPECT_EQ(
      brief(
          R"({"type":"Promise","n":{"round":2,"node":1},"accepted":{"n":{"round":1,"node":2},"value":"v"}})"),
      "Promise n=2.1 accepted=1.2:v");
  EXPECT_EQ(brief(R"({"type":"Learn"})"), "Learn");
  EXPECT_EQ(brief(R"({"type":"InSlot","slot":3,"message":{"type":"Nack","n":null,"granted":false}})"),
            "slot 3: Nack granted=no");
  EXPECT_EQ(
      brief(
          R"({"entries":[{"epoch":1,"index":2,"kind":1,"payload":"x"},{"epoch":1,"index":3,"kind":0,"payload":""}]})"),
      "{entries=[1.2:x 1.3:no-op]}");
  EXPECT_EQ(brief("\"malformed\""), "malformed");
  EXPECT_EQ(brief("no json"), "no json");
}

TEST(Brief, GivesPayloadsBackAsTheBytesTheyWere) {
  std::string seen;
  const auto look = [&](std::string_view bytes) { return seen = bytes, std::string("seen"); };
  EXPECT_EQ(brief(R"({"type":"Decided","value":"\u0005a\u00ff"})", look), "Decided value=seen");
  EXPECT_EQ(seen,
            "\x05"
            "a\xff");
}

// The end of a word of two roads: a message that arrives, one that is lost, and what nodes do.
Story story() {
  using Kind = Happening::Kind;
  const NodeId a(1), b(2), c(3);
  return {{a, b, c},
          {{Kind::chapter, {}, {}, "first; a #1"},
           {Kind::message, a, c, "Ask"},
           {Kind::lost, c, b, "Tell a > b"},
           {Kind::durable, b, {}, "vote"},
           {Kind::state, b, {}, "raft n2"},
           {Kind::event, b, {}, "leads"}}};
}

TEST(Diagram, HasALaneForEachNodeInATerminal) {
  EXPECT_EQ(draw_lanes(story()),
            "n1    n2    n3\n"
            "\nfirst; a #1\n"
            "├─────┼────>│  Ask\n"
            "│     │x────┤  Tell a > b  (lost)\n"
            "│     ▪     │  on disk: vote\n"
            "│     ●     │  leads\n");
}

TEST(Diagram, EscapesWhatMermaidWouldTakeForItsOwn) {
  EXPECT_EQ(draw_mermaid(story()),
            "sequenceDiagram\n"
            "  participant n1\n  participant n2\n  participant n3\n"
            "  Note over n1,n3: first#59; a #35;1\n"
            "  n1->>n3: Ask\n"
            "  n3-xn2: Tell a #gt; b\n"
            "  Note over n2: on disk: vote\n"
            "  Note over n2: leads\n");
}

TEST(Diagram, ShowsOnlyWhatIsShown) {
  const auto played =
      run_scenario("# one\nprotocol raft\nnodes 1\nhide\npropose 1 x\nshow\n# two\n\nstate\n");
  ASSERT_FALSE(played.failed);
  for (const auto& h : played.story.happenings) EXPECT_EQ(h.text.find("x"), std::string::npos) << h.text;
  EXPECT_EQ(played.story.happenings.back().kind, Happening::Kind::state);
  EXPECT_NE(played.text.find("1 is asked for x"), std::string::npos);
}

class Documents : public testing::TestWithParam<fs::path> {};

std::vector<fs::path> documents() {
  std::vector<fs::path> found;
  for (const char* below : {"src", "docs"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(QUORATE_TREE) / below)) {
      if (entry.path().extension() == ".md" && read(entry.path()).contains("<!-- diagram: "))
        found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Files, Documents, testing::ValuesIn(documents()), [](const auto& each) {
  return each.param.parent_path().filename().string() + "_" + each.param.stem().string();
});

// After a wanted change: quorate sim --illustrate FILE.md --rewrite, from the root of the tree.
TEST_P(Documents, ShowWhatTheirScenariosDo) {
  const std::string document = read(GetParam());
  const auto drawn = illustrate(document, QUORATE_TREE);
  ASSERT_TRUE(drawn) << drawn.error();
  EXPECT_EQ(*drawn, document);
}

TEST(Illustrate, TellsWhatIsMissing) {
  const auto error = [](const std::string& text) { return illustrate(text, QUORATE_TREE).error(); };
  EXPECT_EQ(error("<!-- diagram: a.txt -->\ntext\n```mermaid\n```\n"),
            "no mermaid block follows the mark of a.txt");
  EXPECT_EQ(error("<!-- diagram: a.txt -->\n```mermaid\n"), "the diagram of a.txt has no end");
  EXPECT_TRUE(error("<!-- diagram: a.txt -->\n```mermaid\n```\n").starts_with("cannot read "));
  EXPECT_EQ(illustrate("plain", QUORATE_TREE), "plain");
}

}  // namespace
}  // namespace quorate::sim
