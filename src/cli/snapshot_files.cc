#include "cli/snapshot_files.h"

#include <filesystem>

#include <fmt/format.h>

#include "cli/text.h"
#include "registry/registry.h"
#include "server/restore.h"

namespace quorate::cli {
namespace {

std::vector<std::string> known_protocols() {
  std::vector<std::string> names;
  for (const auto& protocol : registry::all()) names.emplace_back(protocol.name);
  return names;
}

server::Config configuration(const RestoreOptions& options) {
  auto config = options.config.empty() ? server::from_etcd_flags(options.flags)
                                       : server::read_config(options.config, known_protocols());
  if (!config) throw Failure{kBadArguments, config.error()};
  return std::move(*config);
}

}  // namespace

void add_restore_options(CLI::App& app, RestoreOptions& options) {
  app.add_option("path", options.path, "the file to read")->required();
  auto* config =
      app.add_option("--config,-c", options.config, "the node's configuration, as for quorate serve")
          ->type_name("FILE");
  app.add_option("--keyspace", options.keyspace, "which of its keyspaces, if there are several")
      ->type_name("NAME");
  const auto flag = [&](const char* name, std::string& value, const char* help, const char* type) {
    app.add_option(name, value, help)->type_name(type)->excludes(config)->group("Instead of --config");
  };
  auto& flags = options.flags;
  flag("--name", flags.name, "this member's name", "NAME");
  flag("--data-dir", flags.data_dir, "directory to make (NAME.etcd)", "DIR");
  flag("--wal-dir", flags.wal_dir, "directory of the log (below the data's)", "DIR");
  flag("--initial-cluster", flags.initial_cluster, "NAME=URL of every member of the new cluster", "LIST");
  flag("--initial-cluster-token", flags.initial_cluster_token, "the new cluster's name", "TOKEN");
  flag("--initial-advertise-peer-urls", flags.initial_advertise_peer_urls, "where members reach this one",
       "URLS");
  flag("--protocol", flags.protocol, "the consensus protocol", "NAME");
}

int restore_snapshot(const Command& command, const CLI::App& app, const RestoreOptions& options) {
  const bool named = app.get_option("--config")->count() + app.get_option("--name")->count() +
                         app.get_option("--data-dir")->count() !=
                     0;
  if (!named) throw Failure{kBadArguments, "say for which node: --config FILE, or --name and --data-dir"};
  const server::Config config = configuration(options);
  const auto status = server::backup_status(options.path);
  if (!status) throw Failure{kIo, status.error()};
  const auto done = server::restore_node(config, options.path, options.keyspace);
  if (!done) throw Failure{kError, done.error()};
  const auto identity = server::first_identity(config);
  if (command.format() == Format::json) {
    print(fmt::format(
        "{{\"path\":{},\"data\":{},\"member_id\":{},\"cluster_id\":{},\"revision\":{},\"index\":{}}}\n",
        json_string(options.path), json_string(config.data), identity.node.value, identity.cluster.value,
        status->revision, done->index.value));
  } else {
    print(fmt::format("Restored revision {} ({} keys) to {}, as member {} of cluster {}\n", status->revision,
                      status->keys, config.data, hex(identity.node.value), hex(identity.cluster.value)));
    if (config.members.size() > 1) {
      print(fmt::format("Do the same for each of the {} members, from the same file; then start them.\n",
                        config.members.size()));
    }
  }
  return kOk;
}

int snapshot_status(const Command& command, const std::string& path) {
  const auto status = server::backup_status(path);
  if (!status) throw Failure{kIo, status.error()};
  const auto hash = hex(status->hash);
  switch (command.format()) {
    case Format::json:
      print(fmt::format("{{\"hash\":{},\"revision\":{},\"totalKey\":{},\"totalSize\":{}}}\n", status->hash,
                        status->revision, status->keys, status->bytes));
      break;
    case Format::table: {
      Table table({"HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"});
      table.row(
          {hash, std::to_string(status->revision), std::to_string(status->keys), human_bytes(status->bytes)});
      print(table.str());
      break;
    }
    case Format::fields:
      print(fmt::format("\"Hash\" : {}\n\"Revision\" : {}\n\"Keys\" : {}\n\"Size\" : {}\n", status->hash,
                        status->revision, status->keys, status->bytes));
      break;
    case Format::simple:
      print(
          fmt::format("{}, {}, {}, {}\n", hash, status->revision, status->keys, human_bytes(status->bytes)));
      break;
  }
  return kOk;
}

}  // namespace quorate::cli
