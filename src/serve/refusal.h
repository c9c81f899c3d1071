// An answer that is an error: thrown anywhere in a handler, written in the shape of the route's API in one place (Service).
#pragma once

#include <string>
#include <utility>

namespace ingot {

struct Refusal {
  int status;
  std::string message;
  std::string code;   // OpenAI's "code", such as "context_length_exceeded"; empty: null
  std::string param;  // the field that is wrong; empty: null
  int retry_after_s = 0;
};

[[noreturn]] inline void refuse(int status, std::string message, std::string code = "", std::string param = "") {
  throw Refusal{status, std::move(message), std::move(code), std::move(param)};
}

// 400, naming the field.
[[noreturn]] inline void refuse_field(std::string param, std::string message, std::string code = "") {
  throw Refusal{400, std::move(message), std::move(code), std::move(param)};
}

}  // namespace ingot
