#include "runtime/identity.h"

#include <gmock/gmock.h>

#include "runtime/node.h"
#include "runtime/test_directory.h"
#include "storage/posix_disk.h"

namespace quorate::runtime {
namespace {

Identity example() {
  Identity identity;
  identity.node = NodeId(3);
  identity.cluster = ClusterId(0xffffffffffffffff);
  identity.token = "a token";
  identity.incarnation = 12;
  identity.removed = true;
  identity.initial[NodeId(1)] = {"first \"node\"", {"http://a:1", "http://b:2"}, {}};
  identity.initial[NodeId(3)] = {"", {"http://c:3"}, {}};
  return identity;
}

TEST(Identity, IsReadAsItWasWritten) {
  const TestDirectory directory;
  auto disk = storage::open_directory(directory.path()).value();
  EXPECT_EQ(load_identity(*disk).value(), std::nullopt);
  ASSERT_TRUE(save_identity(*disk, example()));
  EXPECT_EQ(load_identity(*disk).value(), example());
  ASSERT_TRUE(save_identity(*disk, example()));  // replaces
}

TEST(Identity, ADamagedFileIsAnErrorAndNotANewNode) {
  const TestDirectory directory;
  auto disk = storage::open_directory(directory.path()).value();
  ASSERT_TRUE(save_identity(*disk, example()));
  auto file = disk->open("identity").value();
  const auto size = file->size().value();
  for (std::uint64_t length = 0; length + 1 < size; length += 7) {
    ASSERT_TRUE(file->truncate(length));
    EXPECT_FALSE(load_identity(*disk).has_value()) << length;
  }
}

TEST(DataDirectory, CountsItsStartsAndHasOneOwner) {
  const TestDirectory scratch;
  const std::string& path = scratch.path();
  {
    auto directory = DataDirectory::open(path).value();
    EXPECT_FALSE(directory.identity());
    EXPECT_EQ(directory.begin(example())->incarnation, 1U);
    EXPECT_FALSE(DataDirectory::open(path).has_value());
  }
  auto directory = DataDirectory::open(path).value();
  EXPECT_EQ(directory.begin(*directory.identity())->incarnation, 2U);
}

}  // namespace
}  // namespace quorate::runtime
