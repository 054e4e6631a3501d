#include "server/etcd_yaml.h"

#include <fstream>
#include <sstream>

#include <yaml-cpp/yaml.h>

#include "server/config.h"

namespace quorate::server {
namespace {

struct Wrong {  // thrown and caught within this file only
  std::string words;
};

class Reader {
 public:
  Reader(const std::string& file, const std::function<bool(const std::string&)>& known)
      : file_(file), known_(known) {}

  std::vector<std::string> flags(const YAML::Node& root) {
    if (!root.IsMap() && !root.IsNull()) fail(root, "", "must be a table of etcd's settings");
    for (const auto& entry : root) {
      const std::string key = name(entry.first);
      if (key == "client-transport-security" || key == "peer-transport-security") {
        certificates(entry.second, key);
      } else {
        add("--" + key, entry.first, entry.second, key);
      }
    }
    return std::move(flags_);
  }

 private:
  [[noreturn]] void fail(const YAML::Node& at, const std::string& key, const std::string& why) const {
    throw Wrong{file_ + ":" + std::to_string(at.Mark().line + 1) + ": " + (key.empty() ? "" : key + ": ") +
                why};
  }

  [[nodiscard]] std::string name(const YAML::Node& key) const {
    if (!key.IsScalar() || key.Scalar().empty()) fail(key, "", "a key must be a word");
    return key.Scalar();
  }

  // trusted-ca-file of peer-transport-security is --peer-trusted-ca-file.
  void certificates(const YAML::Node& table, const std::string& title) {
    if (table.IsNull()) return;
    if (!table.IsMap()) fail(table, title, "must be a table");
    const std::string prefix = title.starts_with("peer") ? "--peer-" : "--";
    for (const auto& entry : table) {
      const std::string key = name(entry.first);
      const bool crl = key == "crl-file" && prefix == "--";  // the one that is named otherwise
      add(crl ? "--client-crl-file" : prefix + key, entry.first, entry.second,
          std::string(title).append(".").append(key));
    }
  }

  void add(const std::string& flag, const YAML::Node& at, const YAML::Node& value, const std::string& key) {
    if (!known_(flag)) fail(at, key, "unknown key (docs/guide/configuration.md lists etcd's flags)");
    std::string text;
    if (value.IsSequence()) {
      for (const auto& element : value) {
        if (!element.IsScalar()) fail(element, key, "must be a list of words");
        text += (text.empty() ? "" : ",") + element.Scalar();
      }
    } else if (value.IsScalar()) {
      text = value.Scalar();
    } else if (!value.IsNull()) {
      fail(value, key, "must be a word, a number or a list");
    }
    if (!text.empty()) flags_.push_back(flag + "=" + text);
  }

  const std::string& file_;
  const std::function<bool(const std::string&)>& known_;
  std::vector<std::string> flags_;
};

}  // namespace

std::expected<std::vector<std::string>, std::string> flags_of_yaml(
    const std::string& text, const std::string& file, const std::function<bool(const std::string&)>& known) {
  try {
    return Reader(file, known).flags(YAML::Load(text));
  } catch (const Wrong& wrong) {
    return std::unexpected(one_line(wrong.words));
  } catch (const YAML::Exception& error) {
    return std::unexpected(
        one_line(file + ":" + std::to_string(error.mark.line + 1) + ": not valid YAML: " + error.msg));
  }
}

std::expected<std::vector<std::string>, std::string> read_etcd_yaml(
    const std::string& file, const std::function<bool(const std::string&)>& known) {
  std::ifstream stream(file);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return std::unexpected("--config-file: " + one_line(file) + " can not be read");
  }
  return flags_of_yaml(text.str(), file, known);
}

}  // namespace quorate::server
