// Any message of the etcd API out of choices, by reflection; and all of its methods.
#pragma once

#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "choices.h"

namespace quorate::fuzz {

// Few keys, so that requests meet each other.
inline std::string some_key(Choices& choices) {
  static constexpr std::string_view keys[] = {"a", "b", "c", "d", "aa", "ab", "a/", "a0", "\xff", "z"};
  const auto which = choices.byte();
  if (which < 0xd0U) return std::string(keys[which % std::size(keys)]);
  if (which < 0xe0U) return {};
  if (which < 0xf0U) return std::string(1, '\0');
  return std::string(choices.text(12));
}

inline void fill(google::protobuf::Message& message, Choices& choices, int depth = 0);

inline void fill_field(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                       Choices& choices, int depth) {
  using Field = google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32: {
      const auto v = static_cast<std::int32_t>(choices.number());
      list ? reflection.AddInt32(&message, &field, v) : reflection.SetInt32(&message, &field, v);
      break;
    }
    case Field::CPPTYPE_INT64: {
      const auto v = static_cast<std::int64_t>(choices.number());
      list ? reflection.AddInt64(&message, &field, v) : reflection.SetInt64(&message, &field, v);
      break;
    }
    case Field::CPPTYPE_UINT32: {
      const auto v = static_cast<std::uint32_t>(choices.number());
      list ? reflection.AddUInt32(&message, &field, v) : reflection.SetUInt32(&message, &field, v);
      break;
    }
    case Field::CPPTYPE_UINT64: {
      const auto v = choices.number();
      list ? reflection.AddUInt64(&message, &field, v) : reflection.SetUInt64(&message, &field, v);
      break;
    }
    case Field::CPPTYPE_BOOL:
      list ? reflection.AddBool(&message, &field, choices.flip())
           : reflection.SetBool(&message, &field, choices.flip());
      break;
    case Field::CPPTYPE_ENUM: {
      const int v = choices.byte() % 12;
      list ? reflection.AddEnumValue(&message, &field, v) : reflection.SetEnumValue(&message, &field, v);
      break;
    }
    case Field::CPPTYPE_STRING: {
      auto v = some_key(choices);
      if (field.type() == Field::TYPE_STRING) {  // UTF-8, or it does not parse again
        for (auto& c : v) c = static_cast<char>(static_cast<unsigned char>(c) & 0x7fU);
      }
      list ? reflection.AddString(&message, &field, std::move(v))
           : reflection.SetString(&message, &field, std::move(v));
      break;
    }
    case Field::CPPTYPE_MESSAGE:
      if (depth < 4) {
        fill(list ? *reflection.AddMessage(&message, &field) : *reflection.MutableMessage(&message, &field),
             choices, depth + 1);
      }
      break;
    default: break;  // floating point: in no message of this API
  }
}

inline void fill(google::protobuf::Message& message, Choices& choices, int depth) {
  const auto& fields = *message.GetDescriptor();
  if (fields.field_count() == 0) return;
  for (auto n = choices.below(8); n > 0; --n) {
    const auto which = static_cast<int>(choices.below(static_cast<std::uint64_t>(fields.field_count())));
    fill_field(message, *fields.field(which), choices, depth);
  }
}

struct RpcMethod {
  std::string path;  // "/etcdserverpb.KV/Put"
  const google::protobuf::Message* request;
};

// Of the files whose generated code is linked in. `files`: "api/proto/rpc.proto", ...
inline std::vector<RpcMethod> rpc_methods(const std::vector<std::string>& files) {
  std::vector<RpcMethod> methods;
  const auto& pool = *google::protobuf::DescriptorPool::generated_pool();
  for (const auto& name : files) {
    const auto* file = pool.FindFileByName(name);
    for (int s = 0; file != nullptr && s < file->service_count(); ++s) {
      const auto& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        const auto& method = *service.method(m);
        methods.push_back(
            {"/" + service.full_name() + "/" + method.name(),
             google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.input_type())});
      }
    }
  }
  return methods;
}

}  // namespace quorate::fuzz
