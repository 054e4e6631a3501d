// A keyspace's state on the disk, any file of it damaged: it opens as it was at the end of some flush, or it
// is refused, at once or when what is damaged is read. A process of its own opens it: a read that can not be
// done ends the process (storage/rocks_engine.h), and must keep the next one from opening the same state.
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "choices.h"
#include "fuzz.h"
#include "storage/rocks_engine.h"

namespace quorate::fuzz {
namespace {

namespace fs = std::filesystem;
using namespace storage;

constexpr std::uint64_t kinds_of_state = 4;
constexpr int flushes = 3;

using Rows = std::map<std::pair<std::size_t, std::string>, std::string>;
using Files = std::map<std::string, std::string>;  // by path below the home

// What the rounds so far put and erase, in front of the flush that ends the last of them.
Rows rows_after(std::uint64_t kind, int rounds) {
  Rows rows;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t table = 0; table < table_count; ++table) {
      for (std::uint64_t i = 0; i < 1 + kind * 20; ++i) {
        const std::string key = "key" + std::to_string(i * (table + 1) + static_cast<std::uint64_t>(round));
        if ((i + static_cast<std::uint64_t>(round)) % 5 == 4) {
          rows.erase({table, key});
        } else {
          rows[{table, key}] = std::string(1 + i % 50, static_cast<char>('a' + round));
        }
      }
    }
  }
  return rows;
}

RocksConfig small() {
  return {.cache_bytes = 1U << 20U, .write_buffer_bytes = 1U << 20U, .spare_bytes = 0, .room_left = {}};
}

Rows rows_of(const Reader& reader) {
  Rows rows;
  for (std::size_t table = 0; table < table_count; ++table) {
    const auto cursor = reader.cursor(static_cast<Table>(table));
    for (cursor->seek(""); cursor->valid(); cursor->next())
      rows.emplace(std::pair(table, std::string(cursor->key())), std::string(cursor->value()));
  }
  return rows;
}

// Within a child: its threads do not outlive it, and what it prints of a damaged state is of no interest.
enum class Ending : std::uint8_t { done = 0, refused = 10, silent = 11, invented = 12, stopped };

template <class Work>
Ending in_child(const Work& work) {
  const pid_t child = fork();
  require(child >= 0, "no process");
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    _exit(static_cast<int>(work()));
  }
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);  // the fuzzer's own timer
  require(ended == child, "a process is lost");
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) return Ending::stopped;
  require(WIFEXITED(status), "a damaged state ends the process by another signal than its own");
  const int code = WEXITSTATUS(status);
  require(code == 0 || (code >= 10 && code <= 12), "a sanitizer's report in the process that reads");
  return static_cast<Ending>(code);
}

Ending make_state(const std::string& path, std::uint64_t kind) {
  RocksHome home(path, small());
  auto engine = home.open_live();
  if (!engine) return Ending::refused;
  for (int round = 1; round <= flushes; ++round) {
    const Rows before = rows_after(kind, round - 1);
    const Rows after = rows_after(kind, round);
    for (const auto& [key, value] : before) {
      if (!after.contains(key)) (*engine)->erase(static_cast<Table>(key.first), key.second);
    }
    for (const auto& [key, value] : after)
      (*engine)->put(static_cast<Table>(key.first), key.second, Bytes::copy(value));
    if (!(*engine)->flush()) return Ending::refused;
  }
  return Ending::done;
}

Ending read_state(const std::string& path, std::uint64_t kind) {
  RocksHome home(path, small());
  const auto engine = home.open_live();
  if (!engine) return engine.error().what.empty() ? Ending::silent : Ending::refused;
  const Rows found = rows_of(**engine);
  for (int rounds = 0; rounds <= flushes; ++rounds) {
    if (found == rows_after(kind, rounds)) return Ending::done;
  }
  return Ending::invented;
}

class Home {
 public:
  Home() : path_(fs::temp_directory_path() / ("quorate-fuzz-state-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
  }
  ~Home() { fs::remove_all(path_); }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;

  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] Files files() const {
    Files files;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files[fs::relative(entry.path(), path_)].assign(std::istreambuf_iterator<char>(in), {});
    }
    return files;
  }
  void fill(const Files& files) const {
    for (const auto& [name, bytes] : files) {
      fs::create_directories((path_ / name).parent_path());
      std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    }
  }

 private:
  fs::path path_;
};

// The files of a state of this kind, made once.
const Files& whole_state(std::uint64_t kind) {
  static std::map<std::uint64_t, Files> made;
  if (const auto found = made.find(kind); found != made.end()) return found->second;
  const Home home;
  const auto ending = in_child([&] { return make_state(home.path(), kind); });
  require(ending == Ending::done, "a state can not be made");
  return made[kind] = home.files();
}

void damage(Files& files, Choices& choices) {
  const auto chosen = std::next(files.begin(), static_cast<std::ptrdiff_t>(choices.below(files.size())));
  auto& bytes = chosen->second;
  const auto act = choices.below(6);
  const auto at = bytes.empty() ? 0 : choices.raw(2) % bytes.size();
  if (act == 5) {
    files.erase(chosen);
  } else if (act == 4) {  // another file in its place
    bytes = std::next(files.begin(), static_cast<std::ptrdiff_t>(choices.below(files.size())))->second;
  } else if (act == 3) {
    bytes.append(choices.text(40));
  } else if (act == 2) {
    bytes.replace(at, std::min<std::size_t>(choices.raw(2), bytes.size() - at), choices.text(20));
  } else if (act == 1) {
    bytes.resize(at);
  } else if (!bytes.empty()) {
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << choices.below(8)));
  }
}

void run(Choices& choices) {
  const auto kind = choices.below(kinds_of_state);
  Files files = whole_state(kind);
  for (auto acts = choices.below(3); acts > 0 && !files.empty(); --acts) damage(files, choices);
  const Home home;
  home.fill(files);
  const auto read = [&] { return in_child([&] { return read_state(home.path(), kind); }); };
  const auto first = read();
  require(first != Ending::invented, "a state that never was");
  require(first != Ending::silent, "a refusal without a reason");
  if (first == Ending::stopped)
    require(read() == Ending::refused, "a state that was found damaged is opened again");
  if (files == whole_state(kind)) require(first == Ending::done, "a whole state is refused");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(state) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
