// etcd's configuration file (etcd.conf.yml) as the flags it stands for: each key is a flag's name, but for
// two tables of certificates.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

namespace quorate::server {

// "--name=n1" for `name: n1`. Keys without a value are left out. `known` tells whether there is such a flag
// ("--name"). The error is one line: file:line: key: what is wrong.
[[nodiscard]] std::expected<std::vector<std::string>, std::string> flags_of_yaml(
    const std::string& text, const std::string& file, const std::function<bool(const std::string&)>& known);
[[nodiscard]] std::expected<std::vector<std::string>, std::string> read_etcd_yaml(
    const std::string& file, const std::function<bool(const std::string&)>& known);

}  // namespace quorate::server
