// The answers of the cluster in the output formats. Each returns the text to print.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/proto/rpc.pb.h"
#include "cli/command.h"

namespace quorate::cli {

namespace pb = ::etcdserverpb;

struct Style {
  Format format = Format::simple;
  bool hex = false;
  bool values_only = false;
  bool count_only = false;
};

[[nodiscard]] std::string header_fields(const pb::ResponseHeader& header);

[[nodiscard]] std::string show(const pb::RangeResponse& response, const Style& style);
[[nodiscard]] std::string show(const pb::PutResponse& response, const Style& style);
[[nodiscard]] std::string show(const pb::DeleteRangeResponse& response, const Style& style);
[[nodiscard]] std::string show(const pb::TxnResponse& response, const Style& style);
[[nodiscard]] std::string show(const pb::WatchResponse& response, const Style& style);

// `"cluster_id":…,"member_id":…` without braces: etcdctl prints a lease's answers with the header flattened.
[[nodiscard]] std::string header_json_members(const pb::ResponseHeader& header);

}  // namespace quorate::cli
