// A blocking HTTP client over a real socket, for the tests of everything that serves.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace ingot::harness {

struct Answer {
  int status = 0;
  std::string head, body;  // body with the chunks put together
};

class Client {
 public:
  explicit Client(uint16_t port) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { leave(); }
  Client(const Client&) = delete;

  bool connected() const { return connected_; }
  void leave() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  bool send(const std::string& bytes) {
    for (size_t done = 0; done < bytes.size();) {
      ssize_t n = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return false;
      done += static_cast<size_t>(n);
    }
    return true;
  }
  bool more() {  // false at the end of the stream
    char buffer[16384];
    ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  const std::string& unread() const { return in_; }

  Answer read() {
    Answer answer;
    size_t end;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return answer;
    answer.head = in_.substr(0, end);
    in_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + 9);
    if (answer.head.find("Transfer-Encoding: chunked") != std::string::npos) {
      for (;;) {
        size_t line;
        while ((line = in_.find("\r\n")) == std::string::npos)
          if (!more()) return answer;
        size_t size = std::stoul(in_.substr(0, line), nullptr, 16);
        while (in_.size() < line + 2 + size + 2)
          if (!more()) return answer;
        answer.body += in_.substr(line + 2, size);
        in_.erase(0, line + 2 + size + 2);
        if (size == 0) return answer;
      }
    }
    size_t at = answer.head.find("Content-Length: ");
    size_t length = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    while (in_.size() < length)
      if (!more()) break;
    answer.body = in_.substr(0, length);
    in_.erase(0, length);
    return answer;
  }

  Answer get(const std::string& path, const std::string& headers = "") {
    send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
    return read();
  }
  Answer post(const std::string& path, const std::string& body, const std::string& headers = "", const std::string& method = "POST") {
    send(method + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
    return read();
  }

 private:
  int fd_;
  bool connected_;
  std::string in_;
};

}  // namespace ingot::harness
