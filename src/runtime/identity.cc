#include "runtime/identity.h"

#include <iomanip>
#include <sstream>
#include <utility>

#include "core/codec.h"

namespace quorate::runtime {
namespace {

constexpr const char* file_name = "identity";
constexpr const char* new_name = "identity.new";
constexpr std::string_view first_line = "quorate-identity 1";

std::string render(const Identity& identity) {
  std::ostringstream out;
  out << first_line << '\n'
      << "node " << identity.node.value << '\n'
      << "cluster " << identity.cluster.value << '\n'
      << "incarnation " << identity.incarnation << '\n'
      << "token " << identity.token << '\n';
  if (identity.removed) out << "removed\n";
  for (const auto& [id, info] : identity.initial) {
    out << "member " << id.value << ' ' << std::quoted(info.name);
    for (const auto& url : info.peer_urls) out << ' ' << url;
    out << '\n';
  }
  out << "end\n";
  return out.str();
}

bool parse_member(std::istringstream& words, Identity& identity) {
  std::uint64_t id = 0;
  std::string name;
  if (!(words >> id >> std::quoted(name)) || id == 0) return false;
  NodeInfo info;
  info.name = std::move(name);
  for (std::string url; words >> url;) info.peer_urls.push_back(url);
  identity.initial[NodeId(id)] = std::move(info);
  return true;
}

std::optional<Identity> parse(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != first_line) return std::nullopt;
  Identity identity;
  while (std::getline(lines, line)) {
    if (line == "end")
      return identity.node.none() || identity.cluster.none() ? std::nullopt : std::optional(identity);
    std::istringstream words(line);
    std::string key;
    words >> key;
    bool good = true;
    if (key == "node") {
      good = static_cast<bool>(words >> identity.node.value);
    } else if (key == "cluster") {
      good = static_cast<bool>(words >> identity.cluster.value);
    } else if (key == "incarnation") {
      good = static_cast<bool>(words >> identity.incarnation);
    } else if (key == "token") {
      identity.token = line.size() > 6 ? line.substr(6) : "";
    } else if (key == "removed") {
      identity.removed = true;
    } else if (key == "member") {
      good = parse_member(words, identity);
    }
    if (!good) return std::nullopt;
  }
  return std::nullopt;  // cut short
}

}  // namespace

Membership first_membership(const Identity& identity) {
  Membership membership;
  for (const auto& [id, info] : identity.initial)
    membership.members.push_back({id, Role::voter, codec::encode(info)});
  return membership;
}

std::expected<std::optional<Identity>, std::string> load_identity(storage::Disk& disk) {
  auto file = disk.open(file_name);
  if (!file) {
    if (file.error().kind == storage::IoErrorKind::not_found) return std::nullopt;
    return std::unexpected(file.error().what);
  }
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error().what);
  auto text = (*file)->read(0, *size);
  if (!text) return std::unexpected(text.error().what);
  auto identity = parse(*text);
  if (!identity)
    return std::unexpected(
        "the file 'identity' is damaged; restore it from a backup, or empty the "
        "directory and add the node to the cluster again");
  return identity;
}

std::expected<void, std::string> save_identity(storage::Disk& disk, const Identity& identity) {
  const auto failed = [](const storage::IoError& error) { return std::unexpected(error.what); };
  if (auto gone = disk.remove(new_name); !gone && gone.error().kind != storage::IoErrorKind::not_found) {
    return failed(gone.error());
  }
  auto file = disk.create(new_name);
  if (!file) return failed(file.error());
  if (auto written = (*file)->write(0, render(identity)); !written) return failed(written.error());
  if (auto synced = (*file)->sync(); !synced) return failed(synced.error());
  if (auto renamed = disk.rename(new_name, file_name); !renamed) return failed(renamed.error());
  if (auto synced = disk.sync_directory(); !synced) return failed(synced.error());
  return {};
}

}  // namespace quorate::runtime
