// What a node's trace tells of each of its steps.
#include "core/codec.h"
#include "sim/node.h"

namespace quorate::sim {

void Node::trace_frame(Trace::Line& line, const Bytes& frame) {
  const auto decoded = codec::decode<replica::Frame>(frame);
  if (!decoded) {
    line.field("message", "malformed");
    return;
  }
  static constexpr const char* names[] = {
      "protocol",      "Forward",       "ForwardRefused", "ForwardReconfigure", "ForwardTransfer",
      "ForwardAnswer", "SnapshotChunk", "SnapshotAck",    "DigestAsk",          "DigestTold"};
  line.field("frame", names[decoded->index()]);
  if (const auto* inner = std::get_if<replica::ProtocolFrame>(&*decoded)) {
    line.json("message", replica_ ? replica_->protocol().explain(inner->message) : "null");
  } else {
    line.json("message", codec::to_json(*decoded));
  }
}

void Node::trace_step(const Event& event) {
  static constexpr const char* names[] = {"deliver", "timer",   "sync", "persisted",
                                          "flush",   "flushed", "pump"};
  Trace::Line line(*stage_->trace, stage_->now, names[static_cast<std::size_t>(event.kind)]);
  line.field("node", id_.value);
  if (event.kind == EventKind::deliver) {
    line.field("from", event.number);
    trace_frame(line, event.frame);
  } else if (event.number != 0) {
    line.field("number", event.number);
  }
  if (replica_)
    line.field("state", replica_->protocol().describe()).field("applied", replica_->applied().value);
  if (halted_) line.field("halted", *halted_);
}

}  // namespace quorate::sim
