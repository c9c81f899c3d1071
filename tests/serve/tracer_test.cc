// Traces reach a collector with their parts in order, and a collector that hangs holds nobody up.
#include "serve/tracer.h"

#include <condition_variable>
#include <map>
#include <mutex>

#include "core/error.h"
#include "net/http_server.h"
#include "running_service.h"

namespace ingot {
namespace {

using harness::Client;
using harness::Json;
using harness::RunningService;

// Takes what is posted; or keeps every poster waiting.
class Collector {
 public:
  explicit Collector(bool hangs = false)
      : server_("127.0.0.1", 0, {}, [this, hangs](std::shared_ptr<HttpExchange> exchange) {
          std::lock_guard lock(mutex_);
          if (hangs) return held_.push_back(std::move(exchange));
          bodies_.push_back(exchange->request().path + " " + exchange->request().body);
          exchange->send(200, "application/json", "{}");
          came_.notify_all();
        }, [](int, std::string_view) { return std::string(); }),
        thread_([this] { server_.run(); }) {}
  ~Collector() {
    server_.stop();
    thread_.join();
    held_.clear();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  // Every span that came, once there are `count`.
  std::vector<Json> spans(size_t count) {
    std::unique_lock lock(mutex_);
    std::vector<Json> all;
    came_.wait_for(lock, std::chrono::seconds(15), [&] {
      all.clear();
      for (const std::string& body : bodies_) {
        EXPECT_TRUE(body.starts_with("/v1/traces ")) << body;
        const Json parsed = Json::parse(body.substr(11));
        for (const Json& span : parsed["resourceSpans"][0]["scopeSpans"][0]["spans"]) all.push_back(span);
      }
      return all.size() >= count;
    });
    return all;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::string> bodies_;
  std::vector<std::shared_ptr<HttpExchange>> held_;
  HttpServer server_;
  std::thread thread_;
};

int64_t time_of(const Json& span, const char* key) { return std::stoll(span[key].get<std::string>()); }

TEST(Tracer, ASpanForEachRequestWithItsParts) {
  Collector collector;
  RunningService service({"ingot-base", "--otlp", collector.url()});
  ASSERT_NE(service.port(), 0);
  const std::string trace = "0af7651916cd43dd8448eb211c80319c", parent = "b7ad6b7169203331";
  Client client(service.port());
  EXPECT_EQ(client.post("/v1/completions", Json{{"prompt", "The"}, {"max_tokens", 8}, {"ignore_eos", true}}.dump(), "traceparent: 00-" + trace + "-" + parent + "-01\r\n").status, 200);
  EXPECT_EQ(client.post("/v1/completions", Json{{"prompt", "The"}, {"max_tokens", 2}}.dump(), "traceparent: 00-" + trace + "-" + parent + "-00\r\n").status, 200);  // not sampled
  EXPECT_EQ(client.post("/v1/completions", "{}").status, 400);
  const auto spans = collector.spans(5);
  ASSERT_EQ(spans.size(), 5u);
  const Json& whole = spans[0];
  EXPECT_EQ(whole["name"], "POST /v1/completions");
  EXPECT_EQ(whole["traceId"], trace);
  EXPECT_EQ(whole["parentSpanId"], parent);
  EXPECT_EQ(whole["kind"], 2);
  std::map<std::string, std::string> said;
  for (const Json& one : whole["attributes"]) said[one["key"]] = one["value"].begin()->get<std::string>();
  EXPECT_EQ(said["http.response.status_code"], "200");
  EXPECT_EQ(said["gen_ai.usage.output_tokens"], "8");
  EXPECT_EQ(said["gen_ai.request.model"], "ingot-base");
  const char* kParts[] = {"", "queue", "prefill", "decode"};
  int64_t at = time_of(whole, "startTimeUnixNano");
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(spans[i]["name"], kParts[i]);
    EXPECT_EQ(spans[i]["traceId"], trace);
    EXPECT_EQ(spans[i]["parentSpanId"], whole["spanId"]);
    EXPECT_GE(time_of(spans[i], "startTimeUnixNano"), at);
    at = time_of(spans[i], "endTimeUnixNano");
    EXPECT_GE(at, time_of(spans[i], "startTimeUnixNano"));
  }
  EXPECT_LE(at, time_of(whole, "endTimeUnixNano"));
  EXPECT_GT(time_of(spans[3], "endTimeUnixNano"), time_of(spans[3], "startTimeUnixNano"));
  EXPECT_EQ(spans[4]["attributes"][2]["value"]["intValue"], "400");
  EXPECT_NE(spans[4]["traceId"], trace);
}

TEST(Tracer, ACollectorThatHangsHoldsNobodyUp) {
  Collector collector(true);
  RunningService service({"ingot-base", "--otlp", collector.url()});
  ASSERT_NE(service.port(), 0);
  service.get("/v1/models");
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 300; ++i) ASSERT_EQ(service.get("/v1/version").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));  // one post alone may take as long
  service.signal(SIGTERM);
  EXPECT_EQ(service.wait(), 0);
}

TEST(Tracer, RefusesWhatIsNoCollector) {
  for (const char* url : {"", "ftp://x", "127.0.0.1:4318", "http://"}) EXPECT_THROW(Tracer(url, nullptr), Error) << url;
}

}  // namespace
}  // namespace ingot
