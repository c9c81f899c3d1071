// A request put straight to the service, and what it answered.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "net/http_server.h"

namespace ingot::harness {

class RecordedExchange : public HttpExchange {
 public:
  explicit RecordedExchange(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void send(int status, std::string_view, std::string_view body, const HttpHeaders& extra) override {
    this->status = status;
    this->body = body;
    headers = extra;
  }
  void begin(int status, std::string_view, const HttpHeaders&) override { this->status = status; }
  bool write(std::string_view bytes) override { return body += bytes, true; }
  void finish() override {}
  bool gone() const override { return false; }
  bool begun() const override { return status != 0; }

  int status = 0;  // 0: nothing yet
  std::string body;
  HttpHeaders headers;

 private:
  HttpRequest request_;
};

}  // namespace ingot::harness
