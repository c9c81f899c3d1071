// A full service, one that is told to end, and many that only connect.
#include <sys/resource.h>

#include <atomic>

#include "running_service.h"
#include "serve/api_route.h"

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
  client.send(long_answer(200));
  while (client.unread().find("data: ") == std::string::npos) ASSERT_TRUE(client.more());
  service.signal(SIGTERM);
  const Answer answer = client.read();
  EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
  EXPECT_GE(harness::events_of(answer.body).size(), 100u);  // to its end, not cut
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
  const std::string body = Json{{"prompt", "The"}, {"max_tokens", 4}}.dump();
  // The best of a few, as other work on the machine only adds; connecting included.
  const auto answer_s = [&] {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(Client(service.port()).post("/v1/completions", body).status, 200);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  };
  const double unloaded = answer_s();
  std::vector<std::unique_ptr<Client>> idle;
  for (size_t i = 0; i < count; ++i) {
    idle.push_back(std::make_unique<Client>(service.port()));
    ASSERT_TRUE(idle.back()->connected()) << i;
    if (i % 3 == 0) idle.back()->send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le");
  }
  EXPECT_LT(answer_s(), 5 * unloaded + 0.05);
}

// What is no request for this service is told so, and costs no connection slot for long.
TEST(Limits, OtherProtocolsAndFormsAreRefusedPlainly) {
  RunningService service({"ingot-base"});
  ASSERT_NE(service.port(), 0);
  Client socket(service.port());
  const Answer upgrade = socket.get("/v1/models", "Upgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n");
  EXPECT_EQ(upgrade.status, 400);
  EXPECT_NE(upgrade.body.find("WebSocket"), std::string::npos) << upgrade.body;
  Client form(service.port());
  form.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 4\r\n\r\n--x\n");
  EXPECT_EQ(form.read().status, 415);
  Client newer(service.port());  // an offer of HTTP/2 may be left alone
  EXPECT_EQ(newer.get("/v1/models", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n").status, 200);
}

// A client that reads nothing holds its own answer back, and nobody else's.
TEST(Limits, ASlowReaderHoldsUpNobody) {
  RunningService service({"ingot-base"});
  ASSERT_NE(service.port(), 0);
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(std::make_unique<Client>(service.port()));
    slow.back()->send(long_answer(400));
  }
  EXPECT_EQ(Client(service.port()).post("/v1/completions", Json{{"prompt", "The"}, {"max_tokens", 4}}.dump()).status, 200);
  slow.clear();  // half-closed and gone: their places come free
  for (int i = 0; i < 300 && service.metric("ingot_requests_running") > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LE(service.metric("ingot_requests_running"), 1);  // the one that asks
}

// Off loopback keys and texts do not cross the network in the clear, unless somebody says so.
TEST(Limits, OffLoopbackWithoutACertificateIsRefused) {
  setenv("INGOT_API_KEY", "secret", 1);
  RunningService refused({"ingot-base", "--host", "0.0.0.0"});
  EXPECT_EQ(refused.port(), 0);
  EXPECT_EQ(refused.wait(), 2);
  RunningService allowed({"ingot-base", "--host", "0.0.0.0", "--plaintext"});
  unsetenv("INGOT_API_KEY");
  ASSERT_NE(allowed.port(), 0);
  for (const ApiRoute& route : api_routes()) {  // and every route but liveness asks for a key
    std::string path(route.path);
    if (const size_t brace = path.find('{'); brace != std::string::npos) path = path.substr(0, brace) + "x";
    Client client(allowed.port());
    EXPECT_EQ((route.method == "GET" ? client.get(path) : client.post(path, "{}", "", std::string(route.method))).status, route.scope == Scope::kLive ? 200 : 401) << path;
  }
}

}  // namespace
}  // namespace ingot
