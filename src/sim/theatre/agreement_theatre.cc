// Agreement on one value on the stage: "agreement paxos [none|randomised|distinguished]".
#include "agreement/paxos/paxos.h"
#include "sim/theatre/theatre.h"

namespace quorate::sim {

namespace {

struct AgreementPart {
  std::optional<std::string> decided;  // since it started
};

class AgreementTheatre final : public Staged<agreement::Protocol, AgreementPart> {
 public:
  explicit AgreementTheatre(paxos::BackOff back_off) : back_off_(back_off) {}

  void run(const Words& words) override {
    const std::string& verb = words[0];
    if (verb == "nodes") return found(number(word(words, 1)));
    if (verb == "propose") return propose(actor(word(words, 1)), word(words, 2));
    if (verb == "learn") return ask(actor(word(words, 1)), agreement::Learn{});
    if (verb == "expect") return expect(words);
    Staged::run(words);
  }

 private:
  std::unique_ptr<agreement::Protocol> make(Actor& a) override {
    return paxos::make_paxos({.self = a.id, .members = members_}, a.disk.contents(),
                             {.back_off = back_off_, .distinguished = {}});
  }
  void happened(Actor& a, const agreement::Event& event) override {
    a.part.decided = std::get<agreement::Decided>(event).value.str();
    say(a.id, "decides {}", *a.part.decided);
    check(!chosen_ || *chosen_ == *a.part.decided, a.id, "agreement");
    chosen_ = a.part.decided;
  }
  void crashed(Actor& a) override { a.part.decided.reset(); }

  void found(std::uint64_t count) {
    for (std::uint64_t i = 1; i <= count; ++i) members_.push_back(NodeId(i));
    for (const NodeId id : members_) start(actor(id));
  }
  void propose(Actor& a, const std::string& value) {
    say(a.id, "wants {}", value);
    ask(a, agreement::Propose{Bytes::copy(value)});
  }
  void expect(const Words& words) {
    if (words.size() == 4 && words[1] == "decided") {
      const Actor& a = actor(words[2]);
      return check(a.part.decided == words[3], a.id, "to have decided " + words[3]);
    }
    if (words.size() != 3 || words[1] != "nothing" || words[2] != "decided") throw Usage{"expect what?"};
    for (const auto& [id, a] : actors_) check(!a.part.decided, id, "to have decided nothing");
  }

  paxos::BackOff back_off_;
  std::vector<NodeId> members_;
  std::optional<std::string> chosen_;
};

}  // namespace

std::unique_ptr<Theatre> make_agreement_theatre(const Words& words) {
  if (word(words, 1) != "paxos") throw Usage{"the agreement there is: paxos"};
  const std::string back_off = words.size() > 2 ? words[2] : "randomised";
  if (back_off == "none") return std::make_unique<AgreementTheatre>(paxos::BackOff::none);
  if (back_off == "randomised") return std::make_unique<AgreementTheatre>(paxos::BackOff::randomised);
  if (back_off == "distinguished") return std::make_unique<AgreementTheatre>(paxos::BackOff::distinguished);
  throw Usage{"proposers back off none, randomised or distinguished"};
}

}  // namespace quorate::sim
