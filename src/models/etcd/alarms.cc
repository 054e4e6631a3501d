#include "models/etcd/alarms.h"

#include <algorithm>

#include "models/etcd/etcd_model.h"
#include "models/etcd/tables.h"
#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmType;

std::string alarm_row(const Alarms::Alarm& alarm) {
  std::string row(alarm_prefix);
  append_u32(row, static_cast<std::uint32_t>(alarm.first));
  append_u64(row, alarm.second.value);
  return row;
}

std::string element(const Alarms::Alarm& alarm) { return kind::alarm + alarm_row(alarm); }

void append_alarm(std::string& body, const Alarms::Alarm& alarm) {
  std::string member;
  wire::append_int(member, 1, static_cast<std::int64_t>(alarm.second.value));
  wire::append_int(member, 2, alarm.first);
  wire::append_message(body, 2, member);
}

}  // namespace

void Alarms::load(const storage::Reader& reader) {
  all_.clear();
  const auto cursor = reader.cursor(table::meta);
  for (cursor->seek(alarm_prefix); cursor->valid() && cursor->key().starts_with(alarm_prefix);
       cursor->next()) {
    const auto name = cursor->key().substr(alarm_prefix.size());
    if (name.size() != 12) continue;
    all_.emplace(static_cast<AlarmType>(read_u32(name)), NodeId(read_u64(name.substr(4))));
  }
}

bool Alarms::raised(AlarmType type) const {
  return std::ranges::any_of(all_, [type](const Alarm& alarm) { return alarm.first == type; });
}

void Alarms::execute(const AlarmRequest& request, State& state, storage::Transaction& txn,
                     std::string& body) {
  const Alarm alarm{request.alarm(), NodeId(request.memberid())};
  const bool known = alarm.first == etcdserverpb::NOSPACE || alarm.first == etcdserverpb::CORRUPT;
  switch (request.action()) {
    case AlarmRequest::GET:
      for (const auto& each : all_) {
        if (alarm.first == etcdserverpb::NONE || each.first == alarm.first) append_alarm(body, each);
      }
      return;
    case AlarmRequest::ACTIVATE:
      if (!known) return;
      if (all_.insert(alarm).second) {
        state.live.add(element(alarm));
        txn.put(table::meta, alarm_row(alarm), std::string());
      }
      return append_alarm(body, alarm);
    case AlarmRequest::DEACTIVATE:
      if (all_.erase(alarm) == 0) return;
      state.live.remove(element(alarm));
      txn.erase(table::meta, alarm_row(alarm));
      return append_alarm(body, alarm);
    default: return;
  }
}

Bytes raise_alarm(AlarmType type, NodeId member) {
  AlarmRequest request;
  request.set_action(AlarmRequest::ACTIVATE);
  request.set_alarm(type);
  request.set_memberid(member.value);
  return command(Op::alarm, request.SerializeAsString());
}

}  // namespace quorate::models::etcd
