#include "core/error.h"

namespace ingot {
namespace {

std::string sentence(const std::string& what, const std::string& where, const std::string& todo) {
  std::string text = where.empty() ? what : where + ": " + what;
  return todo.empty() ? text : text + "; " + todo;
}

}  // namespace

Error::Error(ErrorKind k, std::string what, std::string at, std::string fix)
    : std::runtime_error(sentence(what, at, fix)),
      kind(k),
      problem(std::move(what)),
      where(std::move(at)),
      todo(std::move(fix)) {}

}  // namespace ingot
