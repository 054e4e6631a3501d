#include "sim/trace.h"

namespace quorate::sim {

Trace::Line::Line(Trace& trace, Moment at, std::string_view event) : trace_(&trace) {
  trace.out_ += trace.out_.size() == 1 ? "\n{\"t\":" : ",\n{\"t\":";
  trace.out_ += std::to_string(at.count());
  field("event", event);
}

Trace::Line::~Line() { trace_->out_ += '}'; }

Trace::Line& Trace::Line::field(std::string_view name, std::uint64_t number) {
  return json(name, std::to_string(number));
}

Trace::Line& Trace::Line::field(std::string_view name, std::string_view text) {
  return json(name, codec::detail::quote(text));
}

Trace::Line& Trace::Line::json(std::string_view name, std::string_view value) {
  trace_->out_ += ",\"";
  trace_->out_ += name;
  trace_->out_ += "\":";
  trace_->out_ += value;
  return *this;
}

std::string Trace::finish() { return out_ + "\n]\n"; }

}  // namespace quorate::sim
