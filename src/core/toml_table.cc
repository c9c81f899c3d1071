#include "core/toml_table.h"

#include <fmt/format.h>

#include <set>
#include <toml++/toml.h>

#include "core/nearest.h"

namespace ingot {

struct TomlTable::Impl {
  std::shared_ptr<const toml::table> document;  // owns what `here` points into
  const toml::table* here;
  std::string file, path;
  ErrorKind kind;
  std::set<std::string, std::less<>> asked;

  const toml::node* find(std::string_view key) {
    asked.emplace(key);
    return here->get(key);
  }
};

TomlTable TomlTable::parse(std::string_view text, const std::string& file, ErrorKind kind) {
  TomlTable out;
  try {
    auto document = std::make_shared<const toml::table>(toml::parse(text));
    out.impl_ = std::make_shared<Impl>(Impl{document, document.get(), file, "", kind, {}});
  } catch (const toml::parse_error& error) {
    throw Error(kind, std::string(error.description()), fmt::format("{}:{}", file, error.source().begin.line), "write it as TOML");
  }
  return out;
}

void TomlTable::wrong(std::string_view key, const std::string& what, const std::string& todo) const {
  const toml::node* node = impl_->here->get(key);
  const auto line = node ? node->source().begin.line : impl_->here->source().begin.line;
  throw Error(impl_->kind, fmt::format("\"{}{}\" {}", impl_->path, key, what), fmt::format("{}:{}", impl_->file, line ? line : 1), todo);
}

std::optional<std::string> TomlTable::text(std::string_view key) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  if (auto value = node->value_exact<std::string>()) return *value;
  wrong(key, "must be a text", fmt::format("write {} = \"...\"", key));
}

std::optional<bool> TomlTable::flag(std::string_view key) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  if (auto value = node->value_exact<bool>()) return *value;
  wrong(key, "must be true or false", fmt::format("write {} = true", key));
}

std::optional<int64_t> TomlTable::count(std::string_view key, int64_t low, int64_t high) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  const auto value = node->value_exact<int64_t>();
  if (!value) wrong(key, "must be a whole number", fmt::format("write a number from {} to {}, without quotes", low, high));
  if (*value < low || *value > high) wrong(key, fmt::format("is {}, outside {} to {}", *value, low, high), "choose a value inside the range");
  return value;
}

std::optional<double> TomlTable::number(std::string_view key, double low, double high) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value) wrong(key, "must be a number", fmt::format("write {} = {}", key, low));
  if (!(*value >= low && *value <= high)) wrong(key, fmt::format("is {}, outside {} to {}", *value, low, high), "choose a value inside the range");
  return value;
}

std::vector<std::string> TomlTable::texts(std::string_view key) const {
  std::vector<std::string> out;
  for (auto& choice : choices(key)) {
    if (choice.size() != 1) wrong(key, "must be a list of texts", fmt::format("write {} = [\"...\", \"...\"]", key));
    out.push_back(choice[0]);
  }
  return out;
}

std::vector<std::vector<std::string>> TomlTable::choices(std::string_view key) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  if (auto one = node->value_exact<std::string>()) return {{*one}};
  std::vector<std::vector<std::string>> out;
  const toml::array* list = node->as_array();
  if (!list) wrong(key, "must be a list of texts", fmt::format("write {} = [\"...\", \"...\"]", key));
  for (const toml::node& item : *list) {
    std::vector<std::string> texts;
    if (auto one = item.value_exact<std::string>()) texts.push_back(*one);
    if (const toml::array* inner = item.as_array())
      for (const toml::node& text : *inner) {
        auto value = text.value_exact<std::string>();
        if (!value) wrong(key, "must be a list of texts", fmt::format("write {} = [\"...\", \"...\"]", key));
        texts.push_back(*value);
      }
    if (texts.empty()) wrong(key, "must be a list of texts", fmt::format("write {} = [\"...\", \"...\"]", key));
    out.push_back(std::move(texts));
  }
  return out;
}

std::optional<TomlTable> TomlTable::table(std::string_view key) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  if (!node->is_table()) wrong(key, "must be a table", fmt::format("write [{}{}] on a line of its own", impl_->path, key));
  TomlTable out;
  out.impl_ = std::make_shared<Impl>(Impl{impl_->document, node->as_table(), impl_->file, fmt::format("{}{}.", impl_->path, key), impl_->kind, {}});
  return out;
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) const {
  const toml::node* node = impl_->find(key);
  if (!node) return {};
  std::vector<TomlTable> out;
  const toml::array* list = node->as_array();
  if (!list) wrong(key, "must be a list of tables", fmt::format("write [[{}{}]] on a line of its own", impl_->path, key));
  for (const toml::node& item : *list) {
    if (!item.is_table()) wrong(key, "must be a list of tables", fmt::format("write [[{}{}]] on a line of its own", impl_->path, key));
    out.emplace_back();
    out.back().impl_ = std::make_shared<Impl>(Impl{impl_->document, item.as_table(), impl_->file, fmt::format("{}{}.", impl_->path, key), impl_->kind, {}});
  }
  return out;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> out;
  for (auto&& [key, node] : *impl_->here) out.emplace_back(key.str());
  return out;
}

std::string TomlTable::need(std::string_view key) const {
  const auto value = text(key);
  if (!value || value->empty()) wrong(key, "is missing", fmt::format("write {} = \"...\"", key));
  return *value;
}

void TomlTable::refuse_unknown() const {
  for (auto&& [key, node] : *impl_->here) {
    if (impl_->asked.contains(key.str())) continue;
    const std::vector<std::string> known(impl_->asked.begin(), impl_->asked.end());
    const std::string near = nearest_name(key.str(), known);
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    wrong(key.str(), "is not a key here", near.empty() ? "known are: " + all : fmt::format("did you mean \"{}\"?", near));
  }
}

}  // namespace ingot
