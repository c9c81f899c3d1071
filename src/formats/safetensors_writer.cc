#include "formats/safetensors_writer.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace ingot {

void SafetensorsWriter::add(const std::string& name, std::vector<int64_t> shape, std::vector<float> values, ElementType type) {
  Entry entry{std::move(shape), "", ""};
  if (type == ElementType::kF32) {
    entry.type = "F32";
    entry.data.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  } else if (type == ElementType::kF16 || type == ElementType::kBF16) {
    entry.type = type == ElementType::kF16 ? "F16" : "BF16";
    entry.data.resize(values.size() * 2);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = type == ElementType::kF16 ? f16_of_f32(values[i]) : bf16_of_f32(values[i]);
      std::memcpy(entry.data.data() + 2 * i, &bits, 2);
    }
  } else {
    bad_input("safetensors holds no " + std::string(element_name(type)), name, "use F32, F16 or BF16");
  }
  entries_[name] = std::move(entry);
}

std::string SafetensorsWriter::bytes() const {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t at = 0;
  for (const auto& [name, entry] : entries_) {
    header[name] = {{"dtype", entry.type}, {"shape", entry.shape}, {"data_offsets", {at, at + entry.data.size()}}};
    at += entry.data.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data lie on 8 bytes
  const uint64_t size = text.size();
  std::string out(reinterpret_cast<const char*>(&size), 8);
  out += text;
  for (const auto& [name, entry] : entries_) out += entry.data;
  return out;
}

}  // namespace ingot
