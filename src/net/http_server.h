// An HTTP/1.1 server: one thread moves bytes, the handler decides where the work runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingot {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // upper case
  std::string path;     // decoded; without the query
  std::string query;    // after "?", as sent
  HttpHeaders headers;  // names in lower case
  std::string body;
  std::string peer;  // numeric address of the client

  std::string_view header(std::string_view lower_case_name) const;  // empty if absent
};

// One request and its answer. Any one thread at a time may call; outlives the connection safely.
// Destroyed unanswered, it sends a 500; destroyed in mid-stream, it breaks the connection so that the client sees the loss.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;

  // The whole answer at once.
  virtual void send(int status, std::string_view content_type, std::string_view body, const HttpHeaders& extra = {}) = 0;

  // A streamed answer: begin, write..., finish. write() returns false once the client has gone and blocks while more than
  // 256 KiB wait to be sent, so never call it on the network thread.
  virtual void begin(int status, std::string_view content_type, const HttpHeaders& extra = {}) = 0;
  virtual bool write(std::string_view bytes) = 0;
  virtual void finish() = 0;

  virtual bool gone() const = 0;   // the client has left
  virtual bool begun() const = 0;  // send() or begin() was called
};

// Called on the network thread for each request: answer at once if it is quick, else hand the exchange to a worker.
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

struct HttpLimits {
  size_t header_bytes = 16 << 10;
  size_t body_bytes = 8 << 20;
  size_t connections = 12000;
  std::chrono::milliseconds header_time{10000};  // from the first byte to the end of the header
  std::chrono::milliseconds body_time{30000};
  std::chrono::milliseconds idle_time{75000};   // between requests
  std::chrono::milliseconds write_time{30000};  // for one piece to be taken by the client
  std::chrono::milliseconds drain_time{30000};  // for requests under way after drain()
};

// Exchanges refer to the server: whoever holds one (a worker pool) must end first.
class HttpServer {
 public:
  // Binds at once. host is a numeric address ("127.0.0.1", "::1", "0.0.0.0") or "localhost"; port 0 picks one.
  // error_body makes the body of protocol errors (400, 408, 413, 431, 503). Throws Error (environment, usage).
  HttpServer(const std::string& host, uint16_t port, HttpLimits limits, HttpHandler handler,
             std::function<std::string(int status, std::string_view message)> error_body);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

  // Before run(): HTTPS alone, TLS 1.2 and later. The files are read again when they change and on SIGHUP; log is told.
  // Throws Error (input).
  void use_tls(const std::filesystem::path& certificate, const std::filesystem::path& key, std::function<void(const std::string&)> log = {});

  void on_hangup(std::function<void()> call);  // before run(): what SIGHUP does beside reading the certificate again; on the network thread

  uint16_t port() const;
  bool loopback() const;       // bound to a loopback address only
  void run();                  // serves until drained or stopped
  void drain();                // any thread: no new connections, requests under way finish, then run() returns
  void stop();                 // any thread: run() returns at once
  // SIGTERM and SIGINT drain; a second one stops. begun: told how many connections have answers under way, where there are any.
  void drain_on_signals(std::function<void(size_t)> begun = {});
  size_t connections() const;  // open now

  struct State;  // of the .cc alone

 private:
  std::unique_ptr<State> state_;
};

// The standard reason phrase.
std::string_view http_reason(int status);

// "%41+b" -> "A+b"; false when an escape is broken or the result holds a zero byte.
bool decode_percent(std::string_view text, std::string* decoded);

}  // namespace ingot
