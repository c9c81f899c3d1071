#include "net/http_server.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "core/error.h"
#include "net/net_stream.h"
#include "net/tls.h"

namespace ingot {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using Failure = boost::system::error_code;

namespace {

constexpr size_t kUnsentLimit = 256 << 10;  // a slow reader holds its writer back from here on

class Connection;

}  // namespace

struct HttpServer::State {
  State(HttpLimits l, HttpHandler h, std::function<std::string(int, std::string_view)> e)
      : limits(l), handler(std::move(h)), error_body(std::move(e)), acceptor(io), retry(io), deadline(io), renewal(io), signals(io), hangup(io) {}

  void accept();
  void begin_drain();
  void watch_certificate();
  void wait_for_hangup();
  void closed(Connection* connection);

  HttpLimits limits;
  HttpHandler handler;
  std::function<std::string(int, std::string_view)> error_body;
  std::unordered_set<Connection*> open;  // network thread only; each is kept alive by its own operations
  std::atomic<size_t> open_count = 0;
  asio::io_context io{1};  // after `open`: connections that die with it still look there
  tcp::acceptor acceptor;
  asio::steady_timer retry, deadline, renewal;
  asio::signal_set signals, hangup;
  std::unique_ptr<TlsCertificate> certificate;  // null: plain HTTP
  std::function<void(const std::string&)> log;
  std::function<void()> hung_up;
  std::function<void(size_t)> drain_begun;
  bool draining = false;  // network thread only
  uint16_t port = 0;
  bool loopback = false;
};

namespace {

// Where a response stands with its client; shared by the connection and the exchange, so that either may die first.
struct Outbox {
  std::mutex mutex;
  std::condition_variable room;
  std::string unsent;
  bool finished = false, broken = false, close_after = false, posted = false;
  std::atomic<bool> gone = false;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpServer::State* server, tcp::socket socket)
      : server_(server), stream_(std::move(socket), server->certificate ? server->certificate->context() : nullptr), socket_(stream_.socket()), timer_(server->io) {
    Failure failure;
    auto peer = socket_.remote_endpoint(failure);
    if (!failure) peer_ = peer.address().to_string();
    socket_.set_option(tcp::no_delay(true), failure);
    server_->open.insert(this);
    ++server_->open_count;
  }

  ~Connection() { server_->closed(this); }

  void start() {
    if (!stream_.secure()) return wait_for_request();
    idle_ = true;  // draining need not wait for it
    limit(server_->limits.header_time);
    stream_.async_handshake([self = shared_from_this()](Failure failure) {
      self->idle_ = false;
      if (failure || self->closed_) return self->close();
      self->wait_for_request();
    });
  }

  void wait_for_request() {
    if (server_->draining && buffer_.size() == 0) return close();
    if (buffer_.size() > 0) return read_header();
    idle_ = true;
    limit(server_->limits.idle_time);
    // Under TLS the socket's bytes say nothing, and the next ones may lie in the decoder already: they are read.
    if (stream_.secure()) return read_ahead();
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](Failure failure) {
      self->idle_ = false;
      if (failure || self->closed_) return self->close();
      self->read_header();
    });
  }

  // Under TLS: reads what comes next, the beginning of a request or the end of the connection; one such read at a time, also
  // while a request is answered.
  void read_ahead() {
    if (reading_ahead_) return;
    reading_ahead_ = true;
    stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](Failure failure, size_t count) {
      self->reading_ahead_ = false;
      if (failure || self->closed_) return self->close();
      self->buffer_.commit(count);
      if (!self->idle_) return;  // pipelined: it waits for its turn
      self->idle_ = false;
      self->read_header();
    });
  }

  bool idle() const { return idle_; }

  void close() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    Failure ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    if (outbox_) lose();
  }

  asio::io_context& io() { return server_->io; }
  void flush();

 private:
  friend class Exchange;

  void limit(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this(), time](Failure failure) {
      if (failure || self->timer_.expiry() > std::chrono::steady_clock::now()) return;
      self->timed_out();
    });
  }

  void timed_out() {
    // A half-sent request is told why; an idle or stuck connection is just closed.
    if (reading_) return refuse(408, "the request took too long to arrive");
    close();
  }

  void read_header() {
    reading_ = true;
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(server_->limits.header_bytes));
    parser_->body_limit(server_->limits.body_bytes);
    limit(server_->limits.header_time);
    http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](Failure failure, size_t) {
      if (self->refused_ || self->closed_) return;
      if (failure) return self->refuse_unreadable(failure);
      self->header_read();
    });
  }

  void header_read() {
    // An HTTP/1.0 keep-alive dialect, upgrades and tunnels are none of ours.
    if (parser_->get().version() > 11) return refuse(400, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    // Any other coding would leave the end of the body to interpretation, which is how requests are smuggled.
    if (parser_->get().count(http::field::transfer_encoding) && !parser_->chunked())
      return refuse(400, "the only transfer coding taken is chunked");
    if (parser_->is_done()) return dispatch();
    limit(server_->limits.body_time);
    auto expect = parser_->get()[http::field::expect];
    if (boost::beast::iequals(expect, "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(stream_, asio::buffer(kContinue), [self = shared_from_this()](Failure failure, size_t) {
        if (self->refused_ || self->closed_) return;
        if (failure) return self->close();
        self->read_body();
      });
      return;
    }
    read_body();
  }

  void read_body() {
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](Failure failure, size_t) {
      if (self->refused_ || self->closed_) return;
      if (failure) return self->refuse_unreadable(failure);
      self->dispatch();
    });
  }

  void refuse_unreadable(Failure failure) {
    if (failure == http::error::end_of_stream || failure == asio::error::operation_aborted ||
        failure == asio::error::connection_reset || failure == asio::error::eof || failure == http::error::partial_message)
      return close();
    if (failure == http::error::header_limit) return refuse(431, "the header is larger than this server takes");
    if (failure == http::error::body_limit)
      return refuse(413, "the body is larger than " + std::to_string(server_->limits.body_bytes) + " bytes");
    refuse(400, "not a readable HTTP request: " + failure.message());
  }

  // Answers a request that never reached the handler, then closes.
  void refuse(int status, std::string_view message) {
    if (refused_ || closed_) return;
    refused_ = true;
    reading_ = false;
    std::string body = server_->error_body(status, message);
    refusal_ = "HTTP/1.1 " + std::to_string(status) + " " + std::string(http_reason(status)) +
               "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\nConnection: close\r\n\r\n" + body;
    limit(std::chrono::seconds(2));
    asio::async_write(stream_, asio::buffer(refusal_), [self = shared_from_this()](Failure failure, size_t) {
      if (failure || self->closed_) return self->close();
      Failure ignored;
      self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
      self->discard();
    });
  }

  // Reads on for a moment after a refusal: closing with unread bytes would reset the connection and lose the answer.
  void discard() {
    if (reading_ahead_) return;  // that read closes the connection when the client does
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(64 << 10), [self = shared_from_this()](Failure failure, size_t count) {
      self->discarded_ += count;
      if (failure || self->closed_ || self->discarded_ > (size_t{64} << 20)) return self->close();
      self->discard();
    });
  }

  void dispatch();
  void watch();
  void lose();
  void answered();

  HttpServer::State* server_;
  NetStream stream_;
  tcp::socket& socket_;  // of stream_
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string peer_, refusal_, sending_;
  std::shared_ptr<Outbox> outbox_;
  size_t discarded_ = 0;
  bool idle_ = false, reading_ = false, refused_ = false, closed_ = false, writing_ = false, reading_ahead_ = false;
};

class Exchange : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, std::shared_ptr<Outbox> outbox, HttpRequest request, bool chunked,
           bool keep_alive, HttpServer::State* server)
      : connection_(std::move(connection)),
        outbox_(std::move(outbox)),
        request_(std::move(request)),
        chunked_(chunked),
        keep_alive_(keep_alive),
        server_(server) {}

  ~Exchange() override {
    if (!begun_) {
      send(500, "application/json", server_->error_body(500, "the request was dropped by a bug of this server"), {});
    } else if (!finished_) {
      std::lock_guard lock(outbox_->mutex);
      outbox_->broken = true;
      post();
    }
  }

  const HttpRequest& request() const override { return request_; }

  void send(int status, std::string_view type, std::string_view body, const HttpHeaders& extra) override {
    if (begun_) return;
    begun_ = finished_ = true;
    std::string bytes = head(status, type, extra);
    const bool bodiless = status == 204 || status == 304;
    if (!bodiless) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    bytes += "\r\n";
    if (request_.method != "HEAD" && !bodiless) bytes += body;
    put(bytes, true);
  }

  void begin(int status, std::string_view type, const HttpHeaders& extra) override {
    if (begun_) return;
    begun_ = true;
    if (!chunked_) keep_alive_ = false;  // HTTP/1.0: the end of the stream is the end of the connection
    std::string bytes = head(status, type, extra);
    if (chunked_) bytes += "Transfer-Encoding: chunked\r\n";
    put(bytes + "\r\n", false);
  }

  bool write(std::string_view bytes) override {
    if (bytes.empty() || finished_) return !gone();
    if (!chunked_) return put(bytes, false);
    char size[20];
    int length = std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    std::string chunk;
    chunk.reserve(bytes.size() + 24);
    chunk.append(size, static_cast<size_t>(length)).append(bytes).append("\r\n");
    return put(chunk, false);
  }

  void finish() override {
    if (finished_) return;
    finished_ = true;
    put(chunked_ ? "0\r\n\r\n" : "", true);
  }

  bool gone() const override { return outbox_->gone; }
  bool begun() const override { return begun_; }

 private:
  std::string head(int status, std::string_view type, const HttpHeaders& extra) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(http_reason(status)) + "\r\n";
    if (!type.empty()) text.append("Content-Type: ").append(type).append("\r\n");
    for (auto& [name, value] : extra) text.append(name).append(": ").append(value).append("\r\n");
    if (!keep_alive_ || (!chunked_ && !finished_)) {
      text += "Connection: close\r\n";
    } else if (!chunked_) {
      text += "Connection: keep-alive\r\n";  // HTTP/1.0 asks for it by name
    }
    return text;
  }

  void post() {
    if (outbox_->posted) return;
    outbox_->posted = true;
    asio::post(connection_->io(), [connection = connection_] { connection->flush(); });
  }

  bool put(std::string_view bytes, bool last) {
    std::unique_lock lock(outbox_->mutex);
    if (!last) outbox_->room.wait(lock, [&] { return outbox_->gone || outbox_->unsent.size() < kUnsentLimit; });
    if (outbox_->gone) return false;
    outbox_->unsent += bytes;
    outbox_->finished = last;
    outbox_->close_after = !keep_alive_;
    post();
    return true;
  }

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Outbox> outbox_;
  HttpRequest request_;
  bool chunked_, keep_alive_, begun_ = false, finished_ = false;
  HttpServer::State* server_;
};

void Connection::dispatch() {
  reading_ = false;
  timer_.cancel();
  auto& message = parser_->get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  std::string_view target(message.target().data(), message.target().size());
  if (target.empty() || target[0] != '/') return refuse(400, "the request target is not a path");
  size_t question = target.find('?');
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  if (!decode_percent(target.substr(0, question), &request.path)) return refuse(400, "the path has a broken escape");
  for (auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  request.body = std::move(message.body());
  request.peer = peer_;
  bool keep_alive = message.keep_alive() && !server_->draining;
  bool chunked = message.version() == 11;
  parser_.reset();
  outbox_ = std::make_shared<Outbox>();
  auto exchange = std::make_shared<Exchange>(shared_from_this(), outbox_, std::move(request), chunked, keep_alive, server_);
  watch();
  try {
    server_->handler(exchange);
  } catch (const std::exception& error) {
    if (!exchange->begun()) exchange->send(500, "application/json", server_->error_body(500, error.what()), {});
  }
}

// While a request is answered, notices that its client leaves.
void Connection::watch() {
  if (buffer_.size() > 0) return;  // pipelined bytes are waiting; the next write will notice
  if (stream_.secure()) return read_ahead();
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this(), outbox = outbox_](Failure failure) {
    if (failure || self->closed_ || self->outbox_ != outbox) return;
    char byte;
    ssize_t count = ::recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) self->close();
  });
}

void Connection::lose() {
  std::lock_guard lock(outbox_->mutex);
  outbox_->gone = true;
  outbox_->room.notify_all();
}

void Connection::flush() {
  if (closed_ || !outbox_) return;
  bool finished = false, broken = false;
  {
    std::lock_guard lock(outbox_->mutex);
    outbox_->posted = false;
    if (writing_) return;
    sending_.clear();
    sending_.swap(outbox_->unsent);
    finished = outbox_->finished;
    broken = outbox_->broken;
    outbox_->room.notify_all();
  }
  if (sending_.empty()) {
    if (broken) return close();
    if (finished) answered();
    return;
  }
  writing_ = true;
  limit(server_->limits.write_time);
  asio::async_write(stream_, asio::buffer(sending_), [self = shared_from_this()](Failure failure, size_t) {
    self->writing_ = false;
    if (failure || self->closed_) return self->close();
    self->timer_.cancel();
    self->flush();
  });
}

void Connection::answered() {
  bool close_after = outbox_->close_after || server_->draining;
  outbox_.reset();
  timer_.cancel();
  Failure ignored;
  if (!stream_.secure()) socket_.cancel(ignored);  // ends watch()
  if (!close_after) return wait_for_request();
  limit(std::chrono::seconds(2));
  if (stream_.secure()) {  // says that this is the end, so that the client can tell it from a cut
    stream_.async_shutdown([self = shared_from_this()](Failure) { self->close(); });
    return;
  }
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  discard();
}

}  // namespace

void HttpServer::State::closed(Connection* connection) {
  open.erase(connection);
  --open_count;
  if (draining && open.empty()) {
    deadline.cancel();
    renewal.cancel();
    signals.cancel();
    hangup.cancel();
    io.stop();
  }
}

void HttpServer::State::accept() {
  acceptor.async_accept([this](Failure failure, tcp::socket socket) {
    if (failure == asio::error::operation_aborted || draining) return;
    if (failure) {  // out of descriptors: wait for some to close instead of spinning
      retry.expires_after(std::chrono::milliseconds(100));
      retry.async_wait([this](Failure stopped) {
        if (!stopped) accept();
      });
      return;
    }
    if (open.size() < limits.connections) std::make_shared<Connection>(this, std::move(socket))->start();
    accept();
  });
}

void HttpServer::State::watch_certificate() {
  renewal.expires_after(std::chrono::seconds(2));
  renewal.async_wait([this](Failure stopped) {
    if (stopped) return;
    if (const std::string said = certificate->reload(false); !said.empty() && log) log(said);
    watch_certificate();
  });
}

void HttpServer::State::wait_for_hangup() {
  hangup.async_wait([this](Failure stopped, int) {
    if (stopped) return;
    if (certificate)
      if (const std::string said = certificate->reload(true); log) log(said);
    if (hung_up) hung_up();
    wait_for_hangup();
  });
}

void HttpServer::State::begin_drain() {
  if (draining) return io.stop();
  draining = true;
  Failure ignored;
  acceptor.close(ignored);
  std::vector<std::shared_ptr<Connection>> idle;
  for (Connection* connection : open)
    if (connection->idle()) idle.push_back(connection->shared_from_this());
  const size_t busy = open.size() - idle.size();
  for (auto& connection : idle) connection->close();
  idle.clear();
  if (open.empty()) return io.stop();
  if (drain_begun && busy) drain_begun(busy);
  deadline.expires_after(limits.drain_time);
  deadline.async_wait([this](Failure stopped) {
    if (!stopped) io.stop();
  });
}

HttpServer::HttpServer(const std::string& host, uint16_t port, HttpLimits limits, HttpHandler handler,
                       std::function<std::string(int, std::string_view)> error_body)
    : state_(std::make_unique<State>(limits, std::move(handler), std::move(error_body))) {
  Failure failure;
  auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, failure);
  if (failure) throw Error(ErrorKind::usage, "not a numeric address: " + host, "--host", "use 127.0.0.1, ::1 or 0.0.0.0");
  tcp::endpoint endpoint(address, port);
  state_->loopback = address.is_loopback();
  auto check = [&](const char* verb) {
    if (failure)
      throw Error(ErrorKind::environment, std::string("cannot ") + verb + ": " + failure.message(),
                  host + ":" + std::to_string(port), "choose another --port, or stop what listens there");
  };
  state_->acceptor.open(endpoint.protocol(), failure);
  check("open a socket");
  state_->acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
  state_->acceptor.bind(endpoint, failure);
  check("bind");
  state_->acceptor.listen(1024, failure);
  check("listen");
  state_->port = state_->acceptor.local_endpoint().port();
}

HttpServer::~HttpServer() {
  // Sockets first: a connection's end still looks at the state.
  std::vector<std::shared_ptr<Connection>> left;
  for (Connection* connection : state_->open)
    if (auto alive = connection->weak_from_this().lock()) left.push_back(alive);
  for (auto& connection : left) connection->close();
  state_->draining = false;
  left.clear();
  state_->io.restart();
  state_->io.poll();
}

void HttpServer::use_tls(const std::filesystem::path& certificate, const std::filesystem::path& key, std::function<void(const std::string&)> log) {
  state_->certificate = std::make_unique<TlsCertificate>(certificate, key);
  state_->log = std::move(log);
  Failure ignored;
  if (!state_->hung_up) {
    state_->hangup.add(SIGHUP, ignored);
    state_->wait_for_hangup();
  }
  state_->watch_certificate();
}

void HttpServer::on_hangup(std::function<void()> call) {
  Failure ignored;
  if (!state_->certificate && !state_->hung_up) {
    state_->hangup.add(SIGHUP, ignored);
    state_->wait_for_hangup();
  }
  state_->hung_up = std::move(call);
}

uint16_t HttpServer::port() const { return state_->port; }
bool HttpServer::loopback() const { return state_->loopback; }
size_t HttpServer::connections() const { return state_->open_count; }

void HttpServer::run() {
  asio::post(state_->io, [state = state_.get()] { state->accept(); });
  auto work = asio::make_work_guard(state_->io);
  state_->io.run();
}

void HttpServer::drain() {
  asio::post(state_->io, [state = state_.get()] {
    if (!state->draining) state->begin_drain();
  });
}

void HttpServer::stop() { state_->io.stop(); }

void HttpServer::drain_on_signals(std::function<void(size_t)> begun) {
  state_->drain_begun = std::move(begun);
  Failure ignored;
  state_->signals.add(SIGTERM, ignored);
  state_->signals.add(SIGINT, ignored);
  auto wait = std::make_shared<std::function<void()>>();
  *wait = [state = state_.get(), again = std::weak_ptr(wait)] {
    state->signals.async_wait([state, again = again.lock()](Failure failure, int) {
      if (failure) return;
      state->begin_drain();
      if (again) (*again)();
    });
  };
  (*wait)();
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::string_view http_reason(int status) {
  auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return {reason.data(), reason.size()};
}

bool decode_percent(std::string_view text, std::string* decoded) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  decoded->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      int high = digit(text[i + 1]), low = digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == 0) return false;
    *decoded += c;
  }
  return true;
}

}  // namespace ingot
