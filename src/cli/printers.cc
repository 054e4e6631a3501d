#include "cli/printers.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace quorate::cli {
namespace {

std::string bytes(std::string_view text, const Style& style) {
  return style.hex ? hex_bytes(text) : std::string(text);
}

// With --keys-only the value is empty, and its line too: two lines a key, as scripts for etcdctl expect.
std::string simple_pair(const mvccpb::KeyValue& kv, const Style& style) {
  return (style.values_only ? "" : bytes(kv.key(), style) + "\n") + bytes(kv.value(), style) + "\n";
}

std::string quoted(std::string_view text, const Style& style) {
  return style.hex ? "\"" + hex_bytes(text) + "\"" : quote(text);
}

std::string pair_fields(std::string_view prefix, const mvccpb::KeyValue& kv, const Style& style) {
  return fmt::format(
      "\"{0}Key\" : {1}\n\"{0}CreateRevision\" : {2}\n\"{0}ModRevision\" : {3}\n\"{0}Version\" : {4}\n"
      "\"{0}Value\" : {5}\n\"{0}Lease\" : {6}\n",
      prefix, quoted(kv.key(), style), kv.create_revision(), kv.mod_revision(), kv.version(),
      quoted(kv.value(), style), kv.lease());
}

Table pair_table() { return Table({"KEY", "VALUE", "CREATED", "MODIFIED", "VERSION", "LEASE"}); }

void pair_row(Table& table, const mvccpb::KeyValue& kv, const Style& style) {
  // Quotes only where the bytes would break the box.
  const auto cell = [&](std::string_view text) {
    const std::string q = quoted(text, style);
    return q.size() == text.size() + 2 ? std::string(text) : q;
  };
  table.row({cell(kv.key()), cell(kv.value()), std::to_string(kv.create_revision()),
             std::to_string(kv.mod_revision()), std::to_string(kv.version()),
             kv.lease() == 0 ? "" : hex(static_cast<std::uint64_t>(kv.lease()))});
}

template <class Pairs>
std::string pairs_table(const Pairs& pairs, const Style& style) {
  Table table = pair_table();
  for (const auto& kv : pairs) pair_row(table, kv, style);
  return table.str();
}

std::string show_op(const pb::ResponseOp& op, const Style& style) {
  switch (op.response_case()) {
    case pb::ResponseOp::kResponseRange: return show(op.response_range(), style);
    case pb::ResponseOp::kResponsePut: return show(op.response_put(), style);
    case pb::ResponseOp::kResponseDeleteRange: return show(op.response_delete_range(), style);
    case pb::ResponseOp::kResponseTxn: return show(op.response_txn(), style);
    case pb::ResponseOp::RESPONSE_NOT_SET: return {};
  }
  return {};
}

std::string_view type_name(const mvccpb::Event& event) {
  return event.type() == mvccpb::Event::DELETE ? "DELETE" : "PUT";
}

std::string watch_json(const pb::WatchResponse& response) {
  std::string out = "{\"Header\":" + json(response.header()) + ",\"Events\":[";
  for (int i = 0; i < response.events_size(); ++i) out += (i > 0 ? "," : "") + json(response.events(i));
  return out + fmt::format("],\"CompactRevision\":{},\"Canceled\":{},\"Created\":{}}}\n",
                           response.compact_revision(), response.canceled(), response.created());
}

}  // namespace

std::string header_fields(const pb::ResponseHeader& header) {
  return fmt::format("\"ClusterID\" : {}\n\"MemberID\" : {}\n\"Revision\" : {}\n\"RaftTerm\" : {}\n",
                     header.cluster_id(), header.member_id(), header.revision(), header.raft_term());
}

std::string header_json_members(const pb::ResponseHeader& header) {
  const std::string object = json(header);
  return object.substr(1, object.size() - 2);
}

std::string show(const pb::RangeResponse& response, const Style& style) {
  std::string out;
  switch (style.format) {
    case Format::json: return json(response) + "\n";
    case Format::table: return pairs_table(response.kvs(), style);
    case Format::fields:
      if (style.count_only) return fmt::format("\"Count\" : {}\n", response.count());
      out = header_fields(response.header());
      for (const auto& kv : response.kvs()) out += pair_fields("", kv, style);
      return out + fmt::format("\"More\" : {}\n\"Count\" : {}\n", response.more(), response.count());
    case Format::simple:
      if (style.count_only) return fmt::format("{}\n", response.count());
      for (const auto& kv : response.kvs()) out += simple_pair(kv, style);
  }
  return out;
}

std::string show(const pb::PutResponse& response, const Style& style) {
  switch (style.format) {
    case Format::json: return json(response) + "\n";
    case Format::fields:
      return header_fields(response.header()) +
             (response.has_prev_kv() ? pair_fields("Prev", response.prev_kv(), style) : "");
    case Format::table:
      return response.has_prev_kv() ? pairs_table(std::vector{response.prev_kv()}, style)
                                    : std::string("OK\n");
    case Format::simple: break;
  }
  return "OK\n" + (response.has_prev_kv() ? simple_pair(response.prev_kv(), style) : "");
}

std::string show(const pb::DeleteRangeResponse& response, const Style& style) {
  std::string out;
  switch (style.format) {
    case Format::json: return json(response) + "\n";
    case Format::fields:
      out = header_fields(response.header()) + fmt::format("\"Deleted\" : {}\n", response.deleted());
      for (const auto& kv : response.prev_kvs()) out += pair_fields("Prev", kv, style);
      return out;
    case Format::table:
      if (response.prev_kvs_size() > 0) return pairs_table(response.prev_kvs(), style);
      return fmt::format("{}\n", response.deleted());
    case Format::simple:
      out = fmt::format("{}\n", response.deleted());
      for (const auto& kv : response.prev_kvs()) out += simple_pair(kv, style);
  }
  return out;
}

std::string show(const pb::TxnResponse& response, const Style& style) {
  std::string out;
  switch (style.format) {
    case Format::json: return json(response) + "\n";
    case Format::fields:
      out = header_fields(response.header()) + fmt::format("\"Succeeded\" : {}\n", response.succeeded());
      for (const auto& op : response.responses()) out += show_op(op, style);
      return out;
    case Format::table:
    case Format::simple:
      out = response.succeeded() ? "SUCCESS\n" : "FAILURE\n";
      for (const auto& op : response.responses()) out += "\n" + show_op(op, style);
  }
  return out;
}

std::string show(const pb::WatchResponse& response, const Style& style) {
  std::string out;
  switch (style.format) {
    case Format::json: return watch_json(response);
    case Format::fields:
      out = header_fields(response.header());
      for (const auto& event : response.events()) {
        out += fmt::format("\"Type\" : {}\n", type_name(event));
        if (event.has_prev_kv()) out += pair_fields("Prev", event.prev_kv(), style);
        out += pair_fields("", event.kv(), style);
      }
      return out;
    case Format::table:
    case Format::simple:
      for (const auto& event : response.events()) {
        out += fmt::format("{}\n", type_name(event));
        if (event.has_prev_kv()) out += simple_pair(event.prev_kv(), style);
        out += simple_pair(event.kv(), style);
      }
  }
  return out;
}

}  // namespace quorate::cli
