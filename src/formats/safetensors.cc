#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/shape_text.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference reader
const char kSafetensorsTodo[] = "the file is damaged or not made by a safetensors writer; fetch it again";

struct Dtype {
  std::string_view name;
  uint64_t bytes;
  std::optional<ElementType> type;
};
const Dtype kDtypes[] = {{"F32", 4, ElementType::kF32}, {"F16", 2, ElementType::kF16}, {"BF16", 2, ElementType::kBF16},
                         {"F64", 8, {}},  {"I64", 8, {}}, {"U64", 8, {}}, {"I32", 4, {}}, {"U32", 4, {}},     {"I16", 2, {}},
                         {"U16", 2, {}},  {"I8", 1, {}},  {"U8", 1, {}},  {"BOOL", 1, {}}, {"F8_E4M3", 1, {}}, {"F8_E5M2", 1, {}}};

// The JSON of a header or an index; nothing of it is trusted yet.
Json parse_object(std::string_view text, const std::string& where) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) bad_input("the header is no JSON object", where, kSafetensorsTodo);
  return json;
}

uint64_t number(const Json& json, const std::string& tensor, const char* what, const std::string& where) {
  if (!json.is_number_unsigned()) bad_input("tensor " + tensor + ": its " + what + " holds something that is no count", where, kSafetensorsTodo);
  return json.get<uint64_t>();
}

}  // namespace

int64_t SafetensorsTensor::elements() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

void Safetensors::read(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < 8) bad_input("no safetensors file: " + std::to_string(bytes.size()) + " bytes, expected at least 8", name, kSafetensorsTodo);
  uint64_t header;
  std::memcpy(&header, bytes.data(), 8);
  if (header > kMaxHeader || header > bytes.size() - 8)
    bad_input("the header claims " + std::to_string(header) + " bytes, but " + std::to_string(bytes.size() - 8) + " follow", name, kSafetensorsTodo);
  const Json json = parse_object({reinterpret_cast<const char*>(bytes.data()) + 8, header}, name);
  const auto data = bytes.subspan(8 + header);

  struct Place {
    uint64_t begin, end;
    size_t tensor;
  };
  std::vector<Place> places;
  for (const auto& [key, entry] : json.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) bad_input("__metadata__ is no object", name, kSafetensorsTodo);
      for (const auto& [k, v] : entry.items())
        if (v.is_string()) metadata_.emplace(k, v.get<std::string>());
      continue;
    }
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") || !entry["shape"].is_array() ||
        !entry.contains("data_offsets") || !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
      bad_input("tensor " + key + ": expected dtype, shape and two data_offsets", name, kSafetensorsTodo);
    SafetensorsTensor tensor;
    tensor.name = key;
    tensor.dtype = entry["dtype"].get<std::string>();
    const auto* dtype = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return d.name == tensor.dtype; });
    if (dtype == std::end(kDtypes)) bad_input("tensor " + key + " has the unknown dtype " + tensor.dtype, name, "convert the model to F32, F16 or BF16");
    tensor.type = dtype->type;
    uint64_t elements = 1;
    for (const Json& d : entry["shape"]) {
      const uint64_t n = number(d, key, "shape", name);
      if (n > (uint64_t{1} << 48) || (n && elements > (uint64_t{1} << 48) / n))
        bad_input("tensor " + key + " has an impossible dimension " + std::to_string(n), name, kSafetensorsTodo);
      elements *= n;
      tensor.shape.push_back(static_cast<int64_t>(n));
    }
    tensor.bytes = elements * dtype->bytes;
    const uint64_t begin = number(entry["data_offsets"][0], key, "data_offsets", name), end = number(entry["data_offsets"][1], key, "data_offsets", name);
    if (begin > end || end > data.size())
      bad_input("tensor " + key + " lies at " + std::to_string(begin) + " to " + std::to_string(end) + ", but the data has " + std::to_string(data.size()) + " bytes",
                name, kSafetensorsTodo);
    if (end - begin != tensor.bytes)
      bad_input("tensor " + key + " of shape " + shape_text(tensor.shape) + " and " + tensor.dtype + ": expected " + std::to_string(tensor.bytes) + " bytes, found " +
                    std::to_string(end - begin),
                name, kSafetensorsTodo);
    tensor.data = data.data() + begin;
    if (!index_.emplace(key, tensors_.size()).second) bad_input("tensor " + key + " stands in two shards", name, kSafetensorsTodo);
    places.push_back({begin, end, tensors_.size()});
    tensors_.push_back(std::move(tensor));
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Place& place : places) {
    if (place.begin != at)
      bad_input("tensor " + tensors_[place.tensor].name + " begins at " + std::to_string(place.begin) + ", expected " + std::to_string(at), name, kSafetensorsTodo);
    at = place.end;
  }
  if (at != data.size()) bad_input("the tensors end at " + std::to_string(at) + ", but the data has " + std::to_string(data.size()) + " bytes", name, kSafetensorsTodo);
}

std::shared_ptr<const Safetensors> Safetensors::parse(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner) {
  auto model = std::make_shared<Safetensors>();
  model->name_ = std::move(name);
  model->owner_ = std::move(owner);
  model->read(bytes, model->name_);
  return model;
}

std::shared_ptr<const Safetensors> Safetensors::open(const fs::path& given) {
  fs::path path = given;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (fs::exists(path / "model.safetensors", error)) path /= "model.safetensors";
    else if (fs::exists(path / "model.safetensors.index.json", error)) path /= "model.safetensors.index.json";
    else bad_input("neither model.safetensors nor model.safetensors.index.json is in the folder", path.string(), "give a model's folder");
  }
  auto model = std::make_shared<Safetensors>();
  model->name_ = path.string();
  if (path.extension() != ".json") {
    model->files_.emplace_back(path);
    model->read(model->files_.back().bytes(), model->name_);
    return model;
  }
  const Json json = parse_object(read_file(path, kMaxHeader), model->name_);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) bad_input("the index has no weight_map", model->name_, kSafetensorsTodo);
  std::map<std::string, std::string> shards;  // and a tensor that each holds
  for (const auto& [tensor, shard] : map->items()) {
    // A shard lies beside its index: a name with a folder in it could reach anywhere.
    if (!shard.is_string() || shard.get<std::string>().find('/') != std::string::npos || !shard.get<std::string>().ends_with(".safetensors"))
      bad_input("tensor " + tensor + ": its shard is no plain .safetensors file name", model->name_, kSafetensorsTodo);
    shards.emplace(shard.get<std::string>(), tensor);
  }
  for (const auto& [shard, tensor] : shards) {
    const fs::path file = path.parent_path() / shard;
    if (!fs::is_regular_file(file, error)) bad_input("the shard " + shard + " is missing, which holds tensor " + tensor, file.string(), "fetch all shards into one folder");
    model->files_.emplace_back(file);
    model->read(model->files_.back().bytes(), file.string());
  }
  for (const auto& [tensor, shard] : map->items())
    if (!model->find(tensor)) bad_input("tensor " + tensor + " is in the index but not in " + shard.get<std::string>(), model->name_, kSafetensorsTodo);
  return model;
}

const SafetensorsTensor* Safetensors::find(std::string_view name) const {
  auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

const SafetensorsTensor& Safetensors::tensor(std::string_view name, std::span<const int64_t> shape) const {
  const SafetensorsTensor* t = find(name);
  if (!t) bad_input("tensor " + std::string(name) + " is missing, expected shape " + shape_text(shape), name_, "use a complete model");
  if (!std::ranges::equal(shape, t->shape))
    bad_input("tensor " + t->name + " has shape " + shape_text(t->shape) + ", expected " + shape_text(shape), name_,
              "config.json and the weights disagree; fetch the model again");
  return *t;
}

std::vector<float> Safetensors::floats(std::string_view name, std::span<const int64_t> shape) const {
  const SafetensorsTensor& t = tensor(name, shape);
  if (!t.type) bad_input("tensor " + t.name + " has dtype " + t.dtype + ", expected F32, F16 or BF16", name_, "convert the model");
  std::vector<float> values(static_cast<size_t>(t.elements()));
  if (*t.type == ElementType::kF32) {
    if (t.bytes) std::memcpy(values.data(), t.data, t.bytes);
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, t.data + 2 * i, 2);
    values[i] = *t.type == ElementType::kF16 ? f32_of_f16(bits) : f32_of_bf16(bits);
  }
  return values;
}

}  // namespace ingot
