#include "net/address.h"

#include <gmock/gmock.h>

namespace quorate::net {
namespace {

TEST(Address, TakesTheFormsPeopleWrite) {
  EXPECT_EQ(parse_address("127.0.0.1:7001"), (Address{"127.0.0.1", 7001, false}));
  EXPECT_EQ(parse_address("http://node-1.example:2380"), (Address{"node-1.example", 2380, false}));
  EXPECT_EQ(parse_address("https://node-1.example:2380/"), (Address{"node-1.example", 2380, true}));
  EXPECT_EQ(parse_address("http://[::1]:2380"), (Address{"::1", 2380, false}));
}

TEST(Address, SaysWhatIsWrong) {
  for (const char* text : {"", "host", "host:", "host:0", "host:65536", "host:12x", ":2380", "ftp://host:1",
                           "::1:2380", "[::1:2380", "host name:1", "http://host/path:1", "host:-1"}) {
    auto parsed = parse_address(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_THAT(parsed.error(), testing::HasSubstr("write host:port")) << text;
  }
}

TEST(Address, IsWrittenAsItIsRead) {
  for (const char* text : {"http://127.0.0.1:7001", "https://[::1]:2380", "http://name:1"}) {
    EXPECT_EQ(to_url(parse_address(text).value()), text);
  }
  EXPECT_EQ(to_string(parse_address("http://[::1]:2380").value()), "[::1]:2380");
}

}  // namespace
}  // namespace quorate::net
