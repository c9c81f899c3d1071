// The console's files as browsers get them, and who gets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"
#include "net/http_server.h"
#include "serve/api_route.h"
#include "serve/console_files.h"
#include "serve/keyed_access.h"
#include "serve/service.h"

namespace ingot {
namespace {

using testing::HasSubstr;
using testing::Not;
using ConsoleJson = nlohmann::json;

class PageExchange : public HttpExchange {
 public:
  explicit PageExchange(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void send(int code, std::string_view content_type, std::string_view bytes, const HttpHeaders& extra) override {
    status = code;
    type = content_type;
    body = bytes;
    headers = extra;
  }
  void begin(int code, std::string_view, const HttpHeaders&) override { status = code; }
  bool write(std::string_view bytes) override { return body += bytes, true; }
  void finish() override {}
  bool gone() const override { return false; }
  bool begun() const override { return status != 0; }
  std::string header(std::string_view name) const {
    std::string found;
    for (const auto& [key, value] : headers)
      if (key == name) found += value;
    return found;
  }
  int status = 0;
  std::string type, body;
  HttpHeaders headers;

 private:
  HttpRequest request_;
};

std::shared_ptr<PageExchange> ask_page(Service& service, const std::string& path, HttpHeaders headers = {}, const std::string& method = "GET", const std::string& body = "") {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.peer = "192.0.2.7";
  request.body = body;
  request.headers = {{"host", "127.0.0.1:8080"}};
  request.headers.insert(request.headers.end(), headers.begin(), headers.end());
  auto exchange = std::make_shared<PageExchange>(request);
  service.handle(exchange);
  return exchange;
}

std::filesystem::path web_folder() { return std::filesystem::path(INGOT_TEST_DATA).parent_path() / "web"; }

TEST(ConsoleRoutes, ServeEveryFileOfTheFolderByteForByte) {
  Service service({}, "");
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(web_folder())) {
    if (!entry.is_regular_file()) continue;
    const std::string name = std::filesystem::relative(entry.path(), web_folder()).string();
    const auto answer = ask_page(service, "/console/" + name);
    EXPECT_EQ(answer->status, 200) << name;
    EXPECT_EQ(answer->body, read_file(entry.path())) << name;
    found.insert(name);
  }
  EXPECT_EQ(console_files().size(), found.size() + 1);  // and the list of languages
  EXPECT_EQ(ConsoleJson::parse(ask_page(service, "/console/words/languages.json")->body), ConsoleJson({"en", "zh"}));
  const auto page = ask_page(service, "/");
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->body, read_file(web_folder() / "index.html"));
  EXPECT_EQ(page->type, "text/html; charset=utf-8");
  EXPECT_EQ(ask_page(service, "/console/console.js")->type, "text/javascript; charset=utf-8");
  EXPECT_EQ(ask_page(service, "/console/base.css")->type, "text/css; charset=utf-8");
  EXPECT_EQ(ask_page(service, "/console/words/en.json")->type, "application/json");
  EXPECT_EQ(ask_page(service, "/console/icon.svg")->type, "image/svg+xml");
  const auto elsewhere = ask_page(service, "/console");
  EXPECT_EQ(elsewhere->status, 302);
  EXPECT_EQ(elsewhere->header("Location"), "/");
}

TEST(ConsoleRoutes, LetNothingRunThatIsNotTheirOwn) {
  Service service({}, "");
  for (const char* path : {"/", "/console/console.js", "/console/nothing", "/console/words/en.json"}) {
    const auto answer = ask_page(service, path);
    const std::string policy = answer->header("Content-Security-Policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'")) << path;
    EXPECT_THAT(policy, HasSubstr("script-src 'self';")) << path;
    EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'")) << path;
    EXPECT_THAT(policy, HasSubstr("require-trusted-types-for 'script'")) << path;
    EXPECT_THAT(policy, Not(HasSubstr("unsafe"))) << path;
    EXPECT_THAT(policy, Not(HasSubstr("http"))) << path;
    EXPECT_EQ(answer->header("X-Content-Type-Options"), "nosniff") << path;
    EXPECT_EQ(answer->header("X-Frame-Options"), "DENY") << path;
    EXPECT_EQ(answer->header("Referrer-Policy"), "no-referrer") << path;
  }
  // No page of it holds a script, a style or a handler of its own, or names another host.
  for (const ConsoleFile& file : console_files()) {
    const std::string bytes(file.bytes);
    EXPECT_THAT(bytes, Not(HasSubstr("innerHTML"))) << file.name;
    EXPECT_THAT(bytes, Not(HasSubstr("outerHTML"))) << file.name;
    EXPECT_THAT(bytes, Not(HasSubstr("insertAdjacentHTML"))) << file.name;
    EXPECT_THAT(bytes, Not(HasSubstr("eval("))) << file.name;
    if (file.name.ends_with(".html")) {
      EXPECT_THAT(bytes, Not(HasSubstr("style="))) << file.name;
      EXPECT_THAT(bytes, Not(HasSubstr("<style"))) << file.name;
      EXPECT_THAT(bytes, Not(HasSubstr("<script>"))) << file.name;
      EXPECT_THAT(bytes, Not(HasSubstr("://"))) << file.name;
    }
    if (file.name.ends_with(".css")) {
      EXPECT_THAT(bytes, Not(HasSubstr("url("))) << file.name;
      EXPECT_THAT(bytes, Not(HasSubstr("@import"))) << file.name;
    }
  }
}

TEST(ConsoleRoutes, AreKeptByBrowsersUntilTheyChange) {
  Service service({}, "");
  const auto first = ask_page(service, "/console/base.css");
  const std::string tag = first->header("ETag");
  EXPECT_THAT(tag, testing::MatchesRegex("\"[0-9a-f]{24}\""));
  EXPECT_EQ(first->header("Cache-Control"), "private, no-cache");
  for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    const auto again = ask_page(service, "/console/base.css", {{"if-none-match", known}});
    EXPECT_EQ(again->status, 304) << known;
    EXPECT_EQ(again->body, "");
    EXPECT_EQ(again->header("ETag"), tag);
  }
  EXPECT_EQ(ask_page(service, "/console/base.css", {{"if-none-match", "\"0123\""}})->status, 200);
  EXPECT_NE(ask_page(service, "/console/shell.css")->header("ETag"), tag);
}

TEST(ConsoleRoutes, FindNothingButTheirFiles) {
  Service service({}, "");
  for (const char* path : {"/console/", "/console/nothing.js", "/console/../CMakeLists.txt", "/console/pages/../console.js", "/console//console.js", "/console/./console.js", "/console/pages", "/console/words/", "/console//etc/passwd",
                           "/console/console.js/", "/console/CONSOLE.JS", "/console/..\\..\\etc\\passwd"}) {
    const auto answer = ask_page(service, path);
    EXPECT_EQ(answer->status, 404) << path;
    EXPECT_THAT(answer->body, Not(HasSubstr("import"))) << path;
  }
  // A page of the error says what was asked, as text.
  EXPECT_THAT(ask_page(service, "/console/<script>")->body, HasSubstr("&lt;script>"));
  EXPECT_EQ(ask_page(service, "/", {}, "POST")->status, 405);
}

TEST(ConsoleRoutes, AskForAKeyAsEveryRouteDoes) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "console_keys";
  std::filesystem::remove_all(folder);
  std::string chatter;
  {
    Database database(folder);
    ApiKey key;
    key.name = "chatter";
    key.scopes = {"chat"};
    chatter = KeyStore(database).create(key);
  }
  Service service(std::make_unique<ModelRegistry>(RegistryOptions{}), std::make_unique<KeyedAccess>(folder, false, std::vector<std::string>{"ai.example"}, Site{}), {"", 0, 16});
  const auto basic = [](const std::string& words) {
    std::string out(words.size() * 2 + 8, '\0');
    out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(words.data()), static_cast<int>(words.size()))));
    return std::pair<std::string, std::string>{"authorization", "Basic " + out};
  };
  for (const char* path : {"/", "/console/console.js", "/console/nothing", "/console"}) {
    const auto closed = ask_page(service, path);
    EXPECT_EQ(closed->status, 401) << path;
    EXPECT_EQ(closed->header("WWW-Authenticate"), "Basic realm=\"Ingot\", charset=\"UTF-8\"") << path;
    EXPECT_EQ(closed->type, "text/html; charset=utf-8") << path;
    EXPECT_THAT(closed->body, Not(HasSubstr("import"))) << path;
    EXPECT_NE(ask_page(service, path, {basic("anyone:" + chatter)})->status, 401) << path;
    EXPECT_NE(ask_page(service, path, {{"authorization", "Bearer " + chatter}})->status, 401) << path;
    EXPECT_EQ(ask_page(service, path, {basic("anyone:ingot_" + std::string(43, 'A'))})->status, 401) << path;
  }
  // The API's own challenge makes no browser ask its user.
  EXPECT_EQ(ask_page(service, "/v1/models")->header("WWW-Authenticate"), "Bearer");
  // The key that a browser keeps opens what its scopes open, and for this service's pages alone.
  const std::string body = R"({"messages":[{"role":"user","content":"x"}]})";
  const auto chat = [&](HttpHeaders headers) {
    headers.push_back(basic("x:" + chatter));
    return ask_page(service, "/v1/chat/completions", std::move(headers), "POST", body)->status;
  };
  EXPECT_EQ(chat({}), 404);  // let in: there is no model
  EXPECT_EQ(chat({{"origin", "http://127.0.0.1:8080"}}), 404);
  EXPECT_EQ(chat({{"origin", "https://ai.example"}}), 404);
  EXPECT_EQ(chat({{"origin", "https://evil.example"}}), 403);
  EXPECT_EQ(chat({{"origin", "http://127.0.0.1:9090"}}), 403);
  EXPECT_EQ(chat({{"origin", "null"}}), 403);
  EXPECT_EQ(ask_page(service, "/v1/chat/completions", {{"authorization", "Bearer " + chatter}, {"origin", "https://evil.example"}}, "POST", body)->status, 404);  // that page knew the key
  EXPECT_EQ(ask_page(service, "/v1/cost", {basic("x:" + chatter)})->status, 403);
  // What is no "user:password" in base64 is no key.
  for (const char* broken : {"Basic", "Basic ", "Basic !!!!", "Basic bm9jb2xvbg==", "Basic Og==", "Basic bad"}) EXPECT_EQ(ask_page(service, "/", {{"authorization", broken}})->status, 401) << broken;
  std::filesystem::remove_all(folder);
}

TEST(ConsoleRoutes, MakeAndRevokeKeys) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "console_new_keys";
  std::filesystem::remove_all(folder);
  { Database make(folder); }
  Service service(std::make_unique<ModelRegistry>(RegistryOptions{}), std::make_unique<KeyedAccess>(folder, true, std::vector<std::string>{}, Site{}), {"", 0, 16});
  const auto make = [&](const std::string& body, HttpHeaders headers = {}) { return ask_page(service, "/v1/keys", std::move(headers), "POST", body); };
  EXPECT_EQ(make(R"({"name":""})")->status, 400);
  EXPECT_EQ(make(R"({"name":"x","scopes":["root"]})")->status, 400);
  EXPECT_EQ(make(R"({"name":"x","rate":"many"})")->status, 400);
  EXPECT_EQ(make(R"({"name":"x","expires":"never"})")->status, 400);
  EXPECT_EQ(make(R"({"name":"x","priority":1000})")->status, 400);
  const auto made = make(R"({"name":"boss","scopes":["admin"]})");
  ASSERT_EQ(made->status, 201) << made->body;
  const std::string boss = ConsoleJson::parse(made->body)["key"];
  // From the very next request on a key is asked for.
  EXPECT_EQ(make(R"({"name":"late"})")->status, 401);
  const HttpHeaders by_boss = {{"authorization", "Bearer " + boss}};
  EXPECT_EQ(make(R"({"name":"boss"})", by_boss)->status, 400);
  const std::string lesser = ConsoleJson::parse(make(R"({"name":"a/b","rate":"7/min","quota":"500/day","expires":"2d","priority":3})", by_boss)->body)["key"];
  const ConsoleJson listed = ConsoleJson::parse(ask_page(service, "/v1/keys", by_boss)->body)["data"];
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0]["name"], "a/b");
  EXPECT_EQ(listed[0]["requests_per_minute"], 7);
  EXPECT_EQ(listed[0]["tokens_per_day"], 500);
  EXPECT_EQ(listed[0]["priority"], 3);
  EXPECT_GT(listed[0]["expires"].get<int64_t>(), 0);
  EXPECT_EQ(ask_page(service, "/v1/models", {{"authorization", "Bearer " + lesser}})->status, 200);
  EXPECT_EQ(make(R"({"name":"more"})", {{"authorization", "Bearer " + lesser}})->status, 403);
  EXPECT_EQ(ask_page(service, "/v1/keys/nobody", by_boss, "DELETE")->status, 404);
  EXPECT_EQ(ask_page(service, "/v1/keys/a/b", by_boss, "DELETE")->status, 200);
  EXPECT_EQ(ask_page(service, "/v1/models", {{"authorization", "Bearer " + lesser}})->status, 401);
  std::filesystem::remove_all(folder);
}

TEST(ConsoleWords, AreTheSameInEveryLanguage) {
  const ConsoleJson english = ConsoleJson::parse(read_file(web_folder() / "words" / "en.json"));
  ASSERT_GT(english.size(), 200u);
  const auto places = [](const std::string& text) {
    std::multiset<std::string> out;
    for (size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1)) out.insert(text.substr(at, text.find('}', at) - at + 1));
    return out;
  };
  for (const auto& entry : std::filesystem::directory_iterator(web_folder() / "words")) {
    const ConsoleJson words = ConsoleJson::parse(read_file(entry.path()));
    for (const auto& [key, value] : english.items()) {
      ASSERT_TRUE(words.contains(key)) << entry.path() << " lacks " << key;
      EXPECT_FALSE(words[key].get<std::string>().empty()) << entry.path() << " " << key;
      EXPECT_EQ(places(words[key]), places(value)) << entry.path() << " " << key;
    }
    for (const auto& [key, value] : words.items()) EXPECT_TRUE(english.contains(key)) << entry.path() << " has " << key << ", which en.json lacks";
  }
}

}  // namespace
}  // namespace ingot
