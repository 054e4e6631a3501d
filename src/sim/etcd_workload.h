// The etcd model under the simulator's clients: the operations of check/history.h as etcd requests.
#pragma once

#include <memory>

#include "sim/workload_model.h"

namespace quorate::sim {

std::unique_ptr<WorkloadModel> make_etcd_workload();

}  // namespace quorate::sim
