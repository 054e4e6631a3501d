// A replica's state that differs from the others', as only damage or a bug could make it: for tests of the
// alarm.
#pragma once

#include <string>

namespace quorate::faults {

// Flips a bit of the value of `key` in the state of an etcd keyspace below `directory` (state/NAME of a data
// directory), of a node that does not run. The exit status.
int diverge(const std::string& directory, const std::string& key);

}  // namespace quorate::faults
