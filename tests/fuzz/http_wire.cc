// Bytes as a client may send them, cut at any place, to a server that echoes: it always ends the connection or answers, never answers a
// request behind one that it refused, and serves the next client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "net/http_server.h"

namespace {

using namespace ingot;

class WireServer {
 public:
  WireServer()
      : server_("127.0.0.1", 0, limits(), [](std::shared_ptr<HttpExchange> exchange) {
          const HttpRequest& request = exchange->request();
          if (request.path.size() > 4096 || request.path.find('\0') != std::string::npos) std::abort();
          exchange->send(200, "text/plain", request.body, {{"X-Echo", "1"}});
        }, [](int status, std::string_view) { return std::to_string(status); }) {
    std::thread([this] { server_.run(); }).detach();
  }
  // All that comes back when `bytes` are sent and the sender then ends.
  std::string exchange(std::string_view bytes) const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    timeval limit{20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::string_view left = bytes;
    while (!left.empty()) {  // the second half apart from the first
      const size_t piece = left.size() == bytes.size() && left.size() > 1 ? left.size() / 2 : left.size();
      const ssize_t n = send(fd, left.data(), piece, MSG_NOSIGNAL);
      if (n <= 0) break;
      left.remove_prefix(static_cast<size_t>(n));
    }
    shutdown(fd, SHUT_WR);
    std::string all;
    char buffer[4096];
    for (;;) {
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) std::abort();  // it hangs
      if (n <= 0) break;
      all.append(buffer, static_cast<size_t>(n));
    }
    close(fd);
    return all;
  }

 private:
  static HttpLimits limits() {
    HttpLimits out;
    out.header_bytes = 4096;
    out.body_bytes = 16384;
    return out;
  }
  HttpServer server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static WireServer* server = new WireServer;
  const std::string answer = server->exchange({reinterpret_cast<const char*>(data), size});
  bool refused = false;
  // Heads of answers: those of the handler carry X-Echo. Bodies are the sender's own bytes, so heads are walked by their lengths.
  for (size_t at = 0; at < answer.size();) {
    const size_t end = answer.find("\r\n\r\n", at);
    if (!answer.substr(at).starts_with("HTTP/1.1 ") || end == std::string::npos) break;  // cut off by the end of the connection
    const std::string head = answer.substr(at, end - at);
    if (refused) std::abort();  // something was answered behind a refusal
    refused = head.find("X-Echo") == std::string::npos && head.find("100 Continue") == std::string::npos;
    const size_t length = head.find("Content-Length: ");
    at = end + 4 + (length == std::string::npos ? 0 : std::stoul(head.substr(length + 16)));
  }
  return 0;
}
