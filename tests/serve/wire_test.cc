// What a rail withholds, as a capture of the socket shows it: every packet of a streamed answer, in the order it came.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "chat_files.h"
#include "running_service.h"

namespace ingot {
namespace {

using harness::Json;
using testing::HasSubstr;
using testing::Not;

// The answer's text in what has arrived so far, complete lines alone; `part` finds it in an event.
std::string said(const std::string& bytes, const std::function<std::string(const Json&)>& part) {
  std::string text;
  for (size_t at = bytes.find("data: "); at != std::string::npos; at = bytes.find("data: ", at + 1)) {
    const size_t end = bytes.find('\n', at);
    if (end == std::string::npos) break;
    const Json event = Json::parse(bytes.substr(at + 6, end - at - 6), nullptr, false);
    if (event.is_object()) text += part(event);
  }
  return text;
}

std::string of_chat(const Json& event) {
  const Json& choices = event.value("choices", Json::array());
  return choices.empty() ? "" : choices[0].value("delta", Json::object()).value("content", "");
}
std::string of_completions(const Json& event) {
  const Json& choices = event.value("choices", Json::array());
  return choices.empty() ? "" : choices[0].value("text", "");
}

struct Route {
  const char* path;
  std::string (*part)(const Json&);
};
constexpr Route kRoutes[] = {{"/v1/chat/completions", of_chat}, {"/v1/completions", of_completions}};

class Wire : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    files = std::make_unique<harness::ChatFiles>("wire");
    RailSettings settings;
    settings.words = {"zebra"};
    settings.output_private_data = RailMode::mask;
    const Rails rails(settings, std::nullopt);
    service = std::make_unique<harness::RunningService>(std::vector<std::string>{files->ai("railed", 3, "", &rails)});
    ASSERT_NE(service->port(), 0);
  }
  static void TearDownTestSuite() { service.reset(), files.reset(); }

  // Streams an answer that is this text, and returns what stood there after each event and each packet; last: at the end.
  static std::vector<std::string> capture(const std::string& path, const std::string& text, const std::function<std::string(const Json&)>& part, std::string* all) {
    const Json body = {{"model", "railed"}, {"messages", {{{"role", "user"}, {"content", "go"}}}}, {"prompt", "go"}, {"max_tokens", 200}, {"stream", true}, {"guided_choice", {text}}};
    const std::string bytes = body.dump();
    harness::Client client(service->port());
    EXPECT_TRUE(client.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes));
    std::vector<std::string> steps;
    while (client.more()) steps.push_back(said(client.unread(), part));
    *all = client.unread();
    // Packets that came together are taken apart at the ends of events: a slow reader sees no less.
    std::vector<std::string> events;
    for (size_t at = all->find("\n\n"); at != std::string::npos; at = all->find("\n\n", at + 1)) events.push_back(said(all->substr(0, at + 1), part));
    steps.insert(steps.begin(), events.begin(), events.end());
    return steps;
  }

  static std::unique_ptr<harness::ChatFiles> files;
  static std::unique_ptr<harness::RunningService> service;
};
std::unique_ptr<harness::ChatFiles> Wire::files;
std::unique_ptr<harness::RunningService> Wire::service;

// A verdict is about a whole sentence, so no packet may end within one: a byte of it would have left before its verdict.
TEST_F(Wire, NoByteOfASentencePrecedesItsVerdict) {
  const std::string sentences[] = {"The sea is blue. ", "A stone is green here. ", "It goes home."};
  const std::string text = sentences[0] + sentences[1] + sentences[2];
  for (const auto& [path, part] : kRoutes) {
    std::string all;
    const auto steps = capture(path, text, part, &all);
    ASSERT_FALSE(steps.empty()) << path;
    EXPECT_EQ(steps.back(), text) << path << "\n" << all;
    std::set<std::string> seen(steps.begin(), steps.end());
    for (const std::string& step : seen) EXPECT_TRUE(step.empty() || step == sentences[0] || step == sentences[0] + sentences[1] || step == text) << path << ": \"" << step << "\"";
    EXPECT_GE(seen.size(), 3u) << path << ": the answer came in one piece, so this capture shows nothing";
  }
}

TEST_F(Wire, WhatIsStoppedNeverTouchesTheWire) {
  for (const auto& [path, part] : kRoutes) {
    std::string all;
    const auto steps = capture(path, "The sea is blue. Mind what a zebra said of stones. It goes home.", part, &all);
    ASSERT_FALSE(steps.empty()) << path;
    EXPECT_THAT(all, HasSubstr("The sea is blue")) << path;
    for (const char* withheld : {"Mind", "zebra", "of stones", "goes home"}) EXPECT_THAT(all, Not(HasSubstr(withheld))) << path;
  }
}

TEST_F(Wire, WhatIsMaskedNeverTouchesTheWire) {
  std::string all;
  const auto steps = capture("/v1/chat/completions", "Write to anna.meier@example.com now. It goes home.", of_chat, &all);
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back(), "Write to [e-mail] now. It goes home.");
  for (const char* withheld : {"anna", "meier", "example.com"}) EXPECT_THAT(all, Not(HasSubstr(withheld)));
}

}  // namespace
}  // namespace ingot
