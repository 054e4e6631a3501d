#include "net/connection.h"

#include <gtest/gtest.h>

namespace quorate::net {
namespace {

// What has been asked of a stream, and whether the stream is there.
struct Asked {
  Transferred read;
  Transferred write;
  bool closed = false;
  bool gone = false;
};

class FakeStream final : public Stream {
 public:
  explicit FakeStream(Asked& asked) : asked_(&asked) {}
  ~FakeStream() override { asked_->gone = true; }
  void read_some(char*, std::size_t, Transferred done) override { asked_->read = std::move(done); }
  void write(const std::vector<boost::asio::const_buffer>&, Transferred done) override {
    asked_->write = std::move(done);
  }
  void close() override { asked_->closed = true; }
  [[nodiscard]] const std::string& remote() const override { return remote_; }

 private:
  Asked* asked_;
  std::string remote_ = "fake";
};

class Nobody final : public ConnectionOwner {
 public:
  void control(Connection&, Control) override {}
  void frame(Connection&, KeyspaceId, Bytes) override {}
  void closed(Connection&, const std::string&) override { ++told; }
  int told = 0;
};

// A large write goes out in parts: the part under way when the connection is closed asks for the next.
TEST(ConnectionTest, ItsStreamOutlivesWhatIsUnderWay) {
  Asked asked;
  Nobody owner;
  {
    auto connection = std::make_shared<Connection>(std::make_unique<FakeStream>(asked), owner,
                                                   std::make_shared<Traffic>(), 1U << 20U);
    connection->start();
    connection->flush();
    ASSERT_TRUE(asked.read && asked.write);
    connection->close();
    EXPECT_FALSE(connection->open());
    connection->flush();
  }
  EXPECT_TRUE(asked.closed);
  EXPECT_FALSE(asked.gone);
  const auto aborted = boost::asio::error::make_error_code(boost::asio::error::operation_aborted);
  std::exchange(asked.write, nullptr)(aborted, 0);
  EXPECT_FALSE(asked.gone);
  std::exchange(asked.read, nullptr)(aborted, 0);
  EXPECT_TRUE(asked.gone);
  EXPECT_EQ(owner.told, 0);
}

}  // namespace
}  // namespace quorate::net
