#include "models/hf_config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace ingot {
namespace {

constexpr size_t kMaxConfig = size_t{16} << 20;
const char kTodo[] = "the file is damaged; fetch the model again";

}  // namespace

struct HfConfig::Node {
  nlohmann::json json;

  const nlohmann::json* find(std::string_view key) const {
    auto it = json.find(key);
    return it == json.end() || it->is_null() ? nullptr : &*it;
  }
};

HfConfig HfConfig::open(const std::filesystem::path& path) { return parse(read_file(path, kMaxConfig), path.string()); }

HfConfig HfConfig::parse(std::string_view text, std::string name) {
  auto node = std::make_shared<Node>();
  node->json = nlohmann::json::parse(text, nullptr, false);
  if (!node->json.is_object()) bad_input("not a JSON object", name, kTodo);
  return {std::move(node), std::move(name)};
}

HfConfig HfConfig::empty(std::string name) {
  auto node = std::make_shared<Node>();
  node->json = nlohmann::json::object();
  return {std::move(node), std::move(name)};
}

void HfConfig::refuse(std::string what, std::string todo) const { bad_input(std::move(what), name_, std::move(todo)); }

bool HfConfig::has(std::string_view key) const { return node_->find(key) != nullptr; }

bool HfConfig::names(std::string_view key) const { return node_->json.contains(key); }

int64_t HfConfig::integer(std::string_view key, int64_t otherwise) const {
  const auto* v = node_->find(key);
  if (!v) return otherwise;
  if (v->is_number_unsigned() && v->get<uint64_t>() > INT64_MAX) refuse(std::string(key) + " is too large", kTodo);
  if (v->is_number_integer()) return v->get<int64_t>();
  // Some writers put whole numbers as 8.0.
  if (double d = v->is_number() ? v->get<double>() : NAN; std::abs(d) < 9e15 && d == std::floor(d)) return static_cast<int64_t>(d);
  refuse(std::string(key) + ": expected an integer, found " + std::string(v->type_name()), kTodo);
}

int64_t HfConfig::count(std::string_view key, int64_t most) const {
  if (!has(key)) refuse(std::string(key) + " is missing", kTodo);
  return count(key, most, 0);
}

int64_t HfConfig::count(std::string_view key, int64_t most, int64_t otherwise) const {
  int64_t value = integer(key, otherwise);
  if (value < 1 || value > most) refuse(std::string(key) + " is " + std::to_string(value) + ", expected 1 to " + std::to_string(most), kTodo);
  return value;
}

double HfConfig::number(std::string_view key, double otherwise) const {
  const auto* v = node_->find(key);
  if (!v) return otherwise;
  if (!v->is_number() || !std::isfinite(v->get<double>())) refuse(std::string(key) + ": expected a number, found " + std::string(v->type_name()), kTodo);
  return v->get<double>();
}

bool HfConfig::boolean(std::string_view key, bool otherwise) const {
  const auto* v = node_->find(key);
  if (!v) return otherwise;
  if (!v->is_boolean()) refuse(std::string(key) + ": expected true or false, found " + std::string(v->type_name()), kTodo);
  return v->get<bool>();
}

std::string HfConfig::text(std::string_view key, std::string otherwise) const {
  const auto* v = node_->find(key);
  if (!v) return otherwise;
  if (!v->is_string()) refuse(std::string(key) + ": expected a text, found " + std::string(v->type_name()), kTodo);
  return v->get<std::string>();
}

std::vector<int64_t> HfConfig::integers(std::string_view key) const {
  const auto* v = node_->find(key);
  std::vector<int64_t> list;
  if (!v) return list;
  auto take = [&](const nlohmann::json& item) {
    if (!item.is_number_integer() || (item.is_number_unsigned() && item.get<uint64_t>() > INT64_MAX)) refuse(std::string(key) + " holds something that is no integer", kTodo);
    list.push_back(item.get<int64_t>());
  };
  if (v->is_array())
    for (const auto& item : *v) take(item);
  else take(*v);
  return list;
}

std::vector<std::string> HfConfig::texts(std::string_view key) const {
  const auto* v = node_->find(key);
  std::vector<std::string> list;
  if (!v) return list;
  if (!v->is_array()) refuse(std::string(key) + ": expected a list, found " + std::string(v->type_name()), kTodo);
  for (const auto& item : *v) {
    if (!item.is_string()) refuse(std::string(key) + " holds something that is no text", kTodo);
    list.push_back(item.get<std::string>());
  }
  return list;
}

std::optional<HfConfig> HfConfig::object(std::string_view key) const {
  const auto* v = node_->find(key);
  if (!v) return {};
  if (!v->is_object()) refuse(std::string(key) + ": expected an object, found " + std::string(v->type_name()), kTodo);
  auto node = std::make_shared<Node>();
  node->json = *v;
  return HfConfig(std::move(node), name_ + ": " + std::string(key));
}

bool HfConfig::is_list(std::string_view key) const {
  const auto* v = node_->find(key);
  return v && v->is_array();
}

std::vector<HfConfig> HfConfig::objects(std::string_view key) const {
  const auto* v = node_->find(key);
  std::vector<HfConfig> list;
  if (!v) return list;
  if (!v->is_array()) refuse(std::string(key) + ": expected a list, found " + std::string(v->type_name()), kTodo);
  for (const auto& item : *v) {
    if (!item.is_object()) refuse(std::string(key) + " holds something that is no object", kTodo);
    auto node = std::make_shared<Node>();
    node->json = item;
    list.push_back(HfConfig(std::move(node), name_ + ": " + std::string(key)));
  }
  return list;
}

}  // namespace ingot
