// One request under way: what was asked, by whom, and how to answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_server.h"
#include "serve/access.h"
#include "serve/api_route.h"

namespace ingot {

using Json = nlohmann::ordered_json;  // in the sender's order: templates and schemas read it so

class Call {
 public:
  Call(std::shared_ptr<HttpExchange> exchange, const ApiRoute& route, std::string parameter, std::string id);
  ~Call();

  const HttpRequest& request() const { return exchange_->request(); }
  const ApiRoute& route() const { return route_; }
  const std::string& parameter() const { return parameter_; }  // of the path, decoded
  const std::string& id() const { return id_; }                // "7f3a…": ids of answers are made of it
  int64_t created() const { return created_; }                 // seconds since 1970
  const Json& body();                                          // parsed at first use; throws Refusal 400

  HttpExchange& exchange() { return *exchange_; }
  bool gone() const { return exchange_->gone(); }

  // Fields of the body's top that the route does not know, as X-Ingot-Ignored-Fields tells them: "temprature (temperature?), foo".
  const std::string& ignored() const { return ignored_; }

  // Every answer names the model that gave it.
  void answered_by(const std::string& model, const std::string& ai);
  void reply(const Json& body, int status = 200);
  void reply_text(std::string_view type, std::string_view body, int status = 200);

  // A stream of server-sent events. event empty: the data alone. False once the client has gone.
  void begin_events();
  bool send_event(std::string_view event, const Json& data);
  bool send_line(std::string_view line);  // as it is, for "data: [DONE]" and comments

  Usage usage;  // handlers fill in the tokens
  double seconds() const;  // since the request came

 private:
  HttpHeaders headers() const;
  std::shared_ptr<HttpExchange> exchange_;
  const ApiRoute& route_;
  std::string parameter_, id_;
  int64_t created_;
  std::chrono::steady_clock::time_point start_;
  std::unique_ptr<Json> body_;
  std::string ignored_;
};

std::string dump(const Json& value);  // broken UTF-8 is replaced

// Reading a body: absent and null give the default, another type is refused with the field's name.
std::string text_field(const Json& body, const char* key, const std::string& otherwise = "");
double number_field(const Json& body, const char* key, double otherwise, double least, double most);
int64_t whole_field(const Json& body, const char* key, int64_t otherwise, int64_t least, int64_t most);
bool flag_field(const Json& body, const char* key, bool otherwise);
// Null when absent or null.
const Json* field(const Json& body, const char* key);
// A text, or a list of texts.
std::vector<std::string> texts_field(const Json& body, const char* key, size_t most);

}  // namespace ingot
