// The one error a person sees: what is wrong, where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace ingot {

// Exit codes of the command line; docs/cli.md lists them.
enum class ErrorKind {
  internal = 1,      // our own bug
  usage = 2,         // the command line is wrong
  input = 3,         // a file, record or request is wrong
  recipe = 4,        // the recipe is wrong
  gate = 5,          // the gate was not met; nothing was packed
  altered = 6,       // verification failed
  environment = 7,   // disk, permissions, network, missing part of this machine
  interrupted = 130  // Ctrl-C; the state is resumable
};

// Thrown for anything that is not our own bug. `where` is "file:line", "member", "tensor", ...; may be empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string what, std::string where, std::string todo);

  ErrorKind kind;
  std::string problem;  // what is wrong, one sentence without a full stop
  std::string where;
  std::string todo;     // what the person can do
};

[[noreturn]] inline void bad_input(std::string what, std::string where, std::string todo) {
  throw Error(ErrorKind::input, std::move(what), std::move(where), std::move(todo));
}

}  // namespace ingot
