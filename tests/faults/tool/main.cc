// The part of the fault tests that must be fast: the proxy between nodes, and the load with its judgement.
#include <CLI/CLI.hpp>

#include "tool/diverge.h"
#include "tool/load.h"
#include "tool/probe.h"
#include "tool/proxy.h"

int main(int count, char** words) {
  CLI::App app{"Helpers of the fault tests"};
  app.require_subcommand(1);
  std::uint64_t seed = 1;
  auto* proxy = app.add_subcommand("proxy", "a TCP proxy between nodes, obeying commands on standard input");
  proxy->add_option("--seed", seed);
  quorate::faults::LoadOptions options;
  auto* load = app.add_subcommand("load", "clients and watchers until a line comes in, then a judgement");
  load->add_option("--endpoints", options.endpoints)->required();
  load->add_option("--tag", options.tag);
  load->add_option("--seed", options.seed);
  load->add_option("--history", options.history);
  long pause = options.pause.count();
  load->add_option("--pause", pause, "milliseconds between two operations of a client, on average");
  long interval = 5;
  auto* probe = app.add_subcommand("probe", "puts at a fixed interval; a line for each answer");
  probe->add_option("--endpoints", options.endpoints)->required();
  probe->add_option("--interval", interval, "milliseconds");
  std::string state;
  std::string key;
  auto* diverge = app.add_subcommand("diverge", "changes a value in the state of a node that does not run");
  diverge->add_option("--state", state)->required();
  diverge->add_option("--key", key)->required();
  CLI11_PARSE(app, count, words);
  if (*proxy) return quorate::faults::run_proxy(seed);
  if (*diverge) return quorate::faults::diverge(state, key);
  if (*probe) return quorate::faults::run_probe(options.endpoints, std::chrono::milliseconds(interval));
  options.pause = std::chrono::milliseconds(pause);
  return quorate::faults::run_load(options);
}
