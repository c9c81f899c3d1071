// A table of a TOML document, read key by key; what nobody asked for is refused with its line.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace ingot {

class TomlTable {
 public:
  // file: for messages. Throws Error (kind) with file:line for text that is not TOML.
  static TomlTable parse(std::string_view text, const std::string& file, ErrorKind kind = ErrorKind::input);

  // Each is empty if the key is absent and throws Error with file:line if its value is of another sort or out of range.
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<int64_t> count(std::string_view key, int64_t low, int64_t high) const;
  std::optional<double> number(std::string_view key, double low, double high) const;
  std::vector<std::string> texts(std::string_view key) const;                // a text or a list of texts
  std::vector<std::vector<std::string>> choices(std::string_view key) const; // a list of texts and of lists of texts
  std::optional<TomlTable> table(std::string_view key) const;
  std::vector<TomlTable> tables(std::string_view key) const;                 // [[key]]
  std::vector<std::string> keys() const;

  std::string need(std::string_view key) const;  // text that must be there and not be empty
  void refuse_unknown() const;                   // throws for the first key that was never asked for, naming the nearest known
  [[noreturn]] void wrong(std::string_view key, const std::string& what, const std::string& todo) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ingot
