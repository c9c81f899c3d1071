// The one place that decides who may call a route, and how much.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/refusal.h"

namespace ingot {

struct ApiRoute;
class HttpExchange;
struct HttpRequest;

// Who asks. Without keys everybody on this machine is the same nameless caller.
struct Caller {
  std::string key;   // the key's id (never the key); empty: none was needed
  std::string user;  // for fair turns: the key's id, else the address
  int priority = 0;  // higher goes first
  bool limited = false;  // has a limit of tokens: what it generates is taken from it token by token
  std::vector<std::string> scopes = {"admin"};
};

// What a request took, told once when it is over.
struct Usage {
  Caller caller;
  std::string route, model, ai;  // path of the route; name; hash
  int status = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  int64_t taken_tokens = 0;  // of these, what the caller's limits were already told of
  double total_s = 0;        // from the request's coming to the end of its answer
  double begun_s = 0;        // when its generation began; the three below count from there
  double queue_s = 0, first_token_s = 0, generation_s = 0;  // waited; had its first token; ended. 0: nothing was generated
};

class Access {
 public:
  virtual ~Access() = default;
  // Throws Refusal: 401 without a key, 403 beyond its scope, 429 beyond its rate. Called on the network thread.
  virtual Caller admit(const ApiRoute& route, const HttpRequest& request) = 0;
  // Takes tokens from the caller's limits if they fit; what is wrong if they do not, and nothing is taken. Any thread.
  virtual std::optional<Refusal> take(const Caller& caller, int64_t tokens) { return (void)caller, (void)tokens, std::nullopt; }
  virtual void used(const Usage& usage) { (void)usage; }  // any thread
  // For a log of what was asked and answered: may put itself between the exchange and its handler, and is told at the end.
  virtual std::shared_ptr<HttpExchange> watched(std::shared_ptr<HttpExchange> exchange) { return exchange; }
  virtual void over(const Usage&, const std::string& id, const HttpExchange&) { (void)id; }  // any thread
};

// For a service that listens on loopback only: this machine's programs may call everything; web pages of others may not.
class LoopbackAccess : public Access {
 public:
  // hosts: further names that the Host and Origin headers may hold (a proxy's).
  explicit LoopbackAccess(std::vector<std::string> hosts = {}) : hosts_(std::move(hosts)) {}
  Caller admit(const ApiRoute& route, const HttpRequest& request) override;

 protected:
  // For a key that a browser sends by itself: only this service's own pages may use it. Throws Refusal.
  void only_own_pages(const HttpRequest& request) const;

 private:
  bool named(std::string_view host) const;
  std::vector<std::string> hosts_;
};

}  // namespace ingot
