#include "net/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "../net/http_client.h"

namespace ingot {
namespace {

using harness::Answer;
using harness::Client;

HttpLimits short_limits() {
  HttpLimits limits;
  limits.header_bytes = 2000;
  limits.body_bytes = 10000;
  limits.header_time = limits.body_time = std::chrono::milliseconds(300);
  limits.idle_time = std::chrono::milliseconds(1500);
  limits.drain_time = std::chrono::milliseconds(3000);
  return limits;
}

// A server in a thread of its own; handlers that stream get a thread each.
struct Running {
  explicit Running(HttpHandler handler, HttpLimits limits = short_limits())
      : server("127.0.0.1", 0, limits, std::move(handler),
               [](int status, std::string_view text) { return std::to_string(status) + " " + std::string(text); }),
        thread([this] { server.run(); }) {}
  ~Running() {
    server.stop();
    thread.join();
  }
  HttpServer server;
  std::thread thread;
};

void echo(std::shared_ptr<HttpExchange> exchange) {
  auto& request = exchange->request();
  exchange->send(200, "text/plain", request.method + " " + request.path + " " + request.body);
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  Running running(echo);
  Client client(running.server.port());
  EXPECT_EQ(client.get("/a%20b?x=1").body, "GET /a b ");
  Answer second = client.post("/p", "hello");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, "POST /p hello");
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read().body, "GET /1 ");
  EXPECT_EQ(client.read().body, "GET /2 ");
}

TEST(HttpServer, RefusesWhatIsNotARequest) {
  Running running(echo);
  auto status = [&](const std::string& bytes) {
    Client client(running.server.port());
    client.send(bytes);
    return client.read().status;
  };
  EXPECT_EQ(status("nonsense\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(5000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
}

// Two readings of where a body ends is how requests are smuggled past a proxy.
TEST(HttpServer, RefusesSmugglingShapes) {
  Running running(echo);
  for (const char* headers : {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 4\r\nContent-Length: 5\r\n",
                              "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "Transfer-Encoding: xchunked\r\n",
                              "Transfer-Encoding : chunked\r\n", "Content-Length: 4 4\r\n"}) {
    Client client(running.server.port());
    client.send(std::string("POST / HTTP/1.1\r\nHost: x\r\n") + headers + "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    int status = client.read().status;
    EXPECT_TRUE(status >= 400 && status < 500) << headers << status;
    EXPECT_EQ(client.read().status, 0) << headers << "a second answer on the connection";
  }
}

TEST(HttpServer, CutsSlowSenders) {
  Running running(echo);
  Client client(running.server.port());
  client.send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(client.read().status, 408);
  Client body(running.server.port());
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_EQ(body.read().status, 408);
}

TEST(HttpServer, TakesChunkedBodiesWithinTheLimit) {
  Running running(echo);
  Client client(running.server.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(client.read().body, "POST / abc");
  Client large(running.server.port());
  large.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + std::string(20000, 'a') + "\r\n0\r\n\r\n");
  EXPECT_EQ(large.read().status, 413);
}

TEST(HttpServer, StreamsAndNoticesThatTheClientLeft) {
  std::atomic<int> written = 0;
  std::atomic<bool> left = false;
  std::vector<std::thread> workers;
  {
    Running running([&](std::shared_ptr<HttpExchange> exchange) {
      workers.emplace_back([&, exchange] {
        exchange->begin(200, "text/event-stream");
        for (; written < 1000 && !left; ++written) {
          if (!exchange->write("data: x\n\n")) left = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        exchange->finish();
      });
    });
    Client client(running.server.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (client.unread().find("data: x") == std::string::npos) ASSERT_TRUE(client.more());
    client.leave();
    for (auto& worker : workers) worker.join();
  }
  EXPECT_TRUE(left);
  EXPECT_LT(written, 200);
}

TEST(HttpServer, WaitsForSlowReadersWithoutGrowing) {
  std::thread worker;
  size_t sent = 0;
  {
    Running running([&](std::shared_ptr<HttpExchange> exchange) {
      worker = std::thread([&, exchange] {
        exchange->begin(200, "text/plain");
        std::string piece(100000, 'x');
        for (int i = 0; i < 100 && exchange->write(piece); ++i) sent += piece.size();
        exchange->finish();
      });
    });
    Client client(running.server.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(client.read().body.size(), 10'000'000u);
    worker.join();
  }
  EXPECT_EQ(sent, 10'000'000u);
}

TEST(HttpServer, DrainFinishesWhatIsUnderWay) {
  std::thread worker;
  HttpServer server("127.0.0.1", 0, short_limits(),
                    [&](std::shared_ptr<HttpExchange> exchange) {
                      worker = std::thread([exchange] {
                        std::this_thread::sleep_for(std::chrono::milliseconds(300));
                        exchange->send(200, "text/plain", "late");
                      });
                    },
                    [](int, std::string_view) { return std::string(); });
  std::thread loop([&] { server.run(); });
  Client idle(server.port()), busy(server.port());
  busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.drain();
  EXPECT_EQ(busy.read().body, "late");
  EXPECT_FALSE(idle.more());
  loop.join();
  worker.join();
  EXPECT_FALSE(Client(server.port()).connected());
}

TEST(HttpServer, HoldsManyIdleConnections) {
  Running running(echo);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 400; ++i) clients.push_back(std::make_unique<Client>(running.server.port()));
  EXPECT_EQ(Client(running.server.port()).get("/").status, 200);
  EXPECT_EQ(clients.back()->get("/").status, 200);
}

TEST(HttpServer, RefusesAnAddressThatIsNone) {
  EXPECT_THROW(HttpServer("example.org", 0, {}, echo, nullptr), std::exception);
}

}  // namespace
}  // namespace ingot
