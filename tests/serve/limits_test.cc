// A full service, one that is told to end, and many that only connect.
#include <sys/resource.h>

#include <atomic>

#include "running_service.h"

namespace ingot {
namespace {

using harness::Answer;
using harness::Client;
using harness::Json;
using harness::RunningService;

std::string long_answer(int tokens) {
  const std::string body = Json{{"prompt", "The"}, {"max_tokens", tokens}, {"stream", true}, {"ignore_eos", true}}.dump();
  return "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Limits, AFullServiceSaysComeBack) {
  RunningService service({"ingot-base", "--requests", "2"});
  ASSERT_NE(service.port(), 0);
  std::vector<std::unique_ptr<Client>> busy;
  for (int i = 0; i < 2; ++i) {
    busy.push_back(std::make_unique<Client>(service.port()));
    busy.back()->send(long_answer(480));
    while (busy.back()->unread().find("data: ") == std::string::npos) ASSERT_TRUE(busy.back()->more());
  }
  Client third(service.port());
  third.send(long_answer(4));
  const Answer refused = third.read();
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_NE(refused.head.find("Retry-After: 1"), std::string::npos) << refused.head;
  EXPECT_EQ(Client(service.port()).get("/v1/health/live").status, 200);  // look-ups are answered all the same
  busy.clear();
  Answer later;
  for (int i = 0; i < 100 && later.status != 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Client client(service.port());
    client.send(long_answer(4));
    later = client.read();
  }
  EXPECT_EQ(later.status, 200);
}

TEST(Limits, SigtermLetsAnswersEnd) {
  RunningService service({"ingot-base"});
  ASSERT_NE(service.port(), 0);
  Client client(service.port());
  client.send(long_answer(24));
  while (client.unread().find("data: ") == std::string::npos) ASSERT_TRUE(client.more());
  service.signal(SIGTERM);
  const Answer answer = client.read();
  EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
  EXPECT_FALSE(Client(service.port()).connected());
  EXPECT_EQ(service.wait(), 0);
}

// Clients that connect and say nothing, or half of something, cost the others nothing.
TEST(Limits, ThousandsOfIdleConnections) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // the service inherits it
  const size_t count = std::min<size_t>(10000, limit.rlim_cur > 700 ? limit.rlim_cur - 500 : 200);
  RunningService service({"ingot-base"});
  ASSERT_NE(service.port(), 0);
  std::vector<std::unique_ptr<Client>> idle;
  for (size_t i = 0; i < count; ++i) {
    idle.push_back(std::make_unique<Client>(service.port()));
    ASSERT_TRUE(idle.back()->connected()) << i;
    if (i % 3 == 0) idle.back()->send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le");
  }
  EXPECT_EQ(Client(service.port()).post("/v1/completions", Json{{"prompt", "The"}, {"max_tokens", 4}}.dump()).status, 200);
}

}  // namespace
}  // namespace ingot
