#include "running_service.h"

namespace ingot {
namespace {

using harness::Json;
using harness::RunningService;

class AnthropicApi : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { service = std::make_unique<RunningService>(std::vector<std::string>{"talker=" + harness::talking_model()}); }
  static void TearDownTestSuite() { service.reset(); }
  static std::unique_ptr<RunningService> service;
};
std::unique_ptr<RunningService> AnthropicApi::service;

TEST_F(AnthropicApi, MessagesStreamedAndWhole) {
  const Json body = {{"model", "talker"}, {"max_tokens", 16}, {"temperature", 0}, {"system", "Be brief."}, {"messages", {{{"role", "user"}, {"content", "The kernel now"}}}}};
  const Json whole = service->ask("/v1/messages", body);
  EXPECT_EQ(whole["type"], "message");
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_EQ(whole["usage"]["output_tokens"], 16);
  const std::string text = whole["content"][0]["text"];
  std::string names, together;
  const auto events = service->stream("/v1/messages", body);
  for (const auto& event : events) {
    EXPECT_EQ(event.name, event.data["type"]);
    if (event.name == "content_block_delta") together += event.data["delta"]["text"].get<std::string>();
    else names += event.name + " ";
  }
  EXPECT_EQ(names, "message_start content_block_start ping content_block_stop message_delta message_stop ");
  EXPECT_EQ(together, text);
  EXPECT_EQ(events[events.size() - 2].data["delta"]["stop_reason"], "max_tokens");
  EXPECT_EQ(events[events.size() - 2].data["usage"]["output_tokens"], 16);

  const Json counted = service->ask("/v1/messages/count_tokens", {{"model", "talker"}, {"system", "Be brief."}, {"messages", body["messages"]}});
  EXPECT_EQ(counted["input_tokens"], events[0].data["message"]["usage"]["input_tokens"]);

  Json stopping = body;
  const std::string stop = text.substr(text.size() / 2, 3);
  stopping["stop_sequences"] = {stop};
  const Json stopped = service->ask("/v1/messages", stopping);
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], stop);
  // A last message of the assistant is gone on from.
  Json begun = body;
  begun["messages"].push_back({{"role", "assistant"}, {"content", "It is"}});
  service->ask("/v1/messages", begun);
}

TEST_F(AnthropicApi, ErrorsHaveItsShape) {
  const auto refused = [&](const Json& body, int status, const char* type) {
    const Json answer = service->ask("/v1/messages", body, status);
    EXPECT_EQ(answer["type"], "error");
    EXPECT_EQ(answer["error"]["type"], type);
    EXPECT_TRUE(answer["error"]["message"].is_string());
  };
  refused({{"model", "talker"}, {"messages", {{{"role", "user"}, {"content", "x"}}}}}, 400, "invalid_request_error");
  refused({{"model", "claude"}, {"max_tokens", 5}, {"messages", {{{"role", "user"}, {"content", "x"}}}}}, 404, "not_found_error");
  refused({{"model", "talker"}, {"max_tokens", 5}, {"messages", {{{"role", "user"}, {"content", {{{"type", "image"}}}}}}}}, 400, "invalid_request_error");
}

}  // namespace
}  // namespace ingot
