#include "sim/scenario.h"

#include <memory>
#include <sstream>

#include "sim/theatre/theatre.h"

namespace quorate::sim {

namespace {

class Runner {
 public:
  ScenarioResult run(std::string_view text) {
    bool output = false;  // within a command's old output, which ends with an empty line
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
      if (output) {
        output = !line.empty();
      } else if (line == "----") {
        output = true;
      } else {
        result_.text += line + "\n";
        read(line);
      }
    }
    if (theatre_) {
      result_.failed = result_.failed || theatre_->failed();
      result_.story.cast = theatre_->cast();
    }
    return std::move(result_);
  }

 private:
  void read(const std::string& line) {
    if (!line.empty() && line[0] == '#') {
      const std::string said = line.substr(std::min<std::size_t>(2, line.size()));
      chapter_ += (chapter_.empty() ? "" : " ") + said;
      return;
    }
    if (!chapter_.empty() && shown_)
      result_.story.happenings.push_back({Happening::Kind::chapter, {}, {}, chapter_});
    chapter_.clear();
    std::istringstream split(line);
    Words words;
    for (std::string word; split >> word;) words.push_back(word);
    if (!words.empty()) act(words);
  }

  void act(const Words& words) {
    std::string out;
    try {
      command(words);
    } catch (const Usage& usage) {
      out = "FAILED " + usage.what + "\n";
      result_.failed = true;
    }
    std::string happened;
    for (auto& each : theatre_ ? theatre_->take() : std::vector<Happening>()) {
      happened += quorate::sim::line(each);
      if (shown_) result_.story.happenings.push_back(std::move(each));
    }
    out = happened + out;
    if (!out.empty()) result_.text += "----\n" + out + "\n";
  }

  void command(const Words& words) {
    if (words[0] == "show" || words[0] == "hide") {
      shown_ = words[0] == "show";
    } else if (words[0] == "protocol") {
      theatre_ = make_log_theatre(words);
    } else if (words[0] == "agreement") {
      theatre_ = make_agreement_theatre(words);
    } else if (!theatre_) {
      throw Usage{"choose a protocol first"};
    } else {
      theatre_->run(words);
    }
  }

  ScenarioResult result_;
  std::unique_ptr<Theatre> theatre_;
  std::string chapter_;
  bool shown_ = true;
};

}  // namespace

ScenarioResult run_scenario(std::string_view text) { return Runner().run(text); }

}  // namespace quorate::sim
