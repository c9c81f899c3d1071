#include "formats/importance.h"

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "formats/gguf.h"

namespace ingot {
namespace {

const char kImportanceTodo[] = "compute it again with: ingot imatrix";
constexpr size_t kMostBytes = size_t{1} << 31;

// The older form: i32 count; for each i32 length, name, i32 calls, i32 values, f32 values (mean squares times calls).
struct ImportanceReader {
  std::string_view bytes;
  const std::string& name;

  template <class T>
  T get() {
    if (bytes.size() < sizeof(T)) bad_input("the file ends in the middle", name, kImportanceTodo);
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return value;
  }
  std::string_view take(int64_t size) {
    if (size < 0 || static_cast<uint64_t>(size) > bytes.size()) bad_input("a length of " + std::to_string(size) + " is more than the file has", name, kImportanceTodo);
    auto part = bytes.substr(0, static_cast<size_t>(size));
    bytes.remove_prefix(static_cast<size_t>(size));
    return part;
  }
};

}  // namespace

Importance Importance::open(const std::filesystem::path& path) {
  MappedFile file(path);
  return parse(file.text(), path.string());
}

Importance Importance::parse(std::string_view bytes, const std::string& name) {
  Importance out;
  out.name_ = name;
  if (bytes.starts_with("GGUF")) {
    auto gguf = Gguf::parse(std::as_bytes(std::span(bytes)), name);
    for (const GgufTensor& t : gguf->tensors()) {
      constexpr std::string_view kEnd = ".in_sum2";
      if (!t.name.ends_with(kEnd)) continue;
      const std::string matrix = t.name.substr(0, t.name.size() - kEnd.size());
      const GgufTensor* counts = gguf->find(matrix + ".counts");
      if (t.type != ElementType::kF32 || !counts || counts->type != ElementType::kF32)
        bad_input("tensor " + t.name + " is no F32, or has no counts beside it", name, kImportanceTodo);
      if (counts->elements() != 1) bad_input("tensor " + t.name + " is of a mixture of experts", name, "only dense models are supported");
      float rows;
      std::memcpy(&rows, counts->data, sizeof rows);
      Entry& e = out.entries_[matrix];
      e.rows = static_cast<double>(rows);
      for (int64_t i = 0; i < t.elements(); ++i) {
        float value;
        std::memcpy(&value, t.data + 4 * i, sizeof value);
        e.squares.push_back(static_cast<double>(value));
      }
    }
    if (out.entries_.empty()) bad_input("the file has no tensor that ends in .in_sum2", name, "give an importance matrix, made with: ingot imatrix");
  } else {
    ImportanceReader in{bytes, name};
    const auto count = in.get<int32_t>();
    if (count < 1) bad_input("the file names " + std::to_string(count) + " matrices", name, kImportanceTodo);
    for (int32_t i = 0; i < count; ++i) {
      const std::string matrix(in.take(in.get<int32_t>()));
      const auto calls = in.get<int32_t>(), values = in.get<int32_t>();
      const auto data = in.take(int64_t{values} * 4);
      Entry& e = out.entries_[matrix];
      e.rows = std::max(1, calls);
      e.squares.clear();
      for (size_t at = 0; at < data.size(); at += 4) {
        float value;
        std::memcpy(&value, data.data() + at, sizeof value);
        e.squares.push_back(static_cast<double>(value));
      }
    }
  }
  out.settle();
  return out;
}

void Importance::settle() {
  for (auto& [matrix, e] : entries_) {
    e.means.clear();
    for (double s : e.squares) {
      const double mean = s / e.rows;
      if (!(mean >= 0) || !std::isfinite(mean)) bad_input("matrix " + matrix + " has an importance that is no positive number", name_, kImportanceTodo);
      e.means.push_back(static_cast<float>(mean));
    }
  }
}

void Importance::add(const std::string& name, const std::vector<double>& squares, int64_t rows) {
  Entry& e = entries_[name];
  e.squares.resize(squares.size());
  for (size_t i = 0; i < squares.size(); ++i) e.squares[i] += squares[i];
  e.rows += static_cast<double>(rows);
  e.means.clear();
}

const float* Importance::find(const std::string& name, int64_t columns) const {
  auto it = entries_.find(name);
  if (it == entries_.end()) return nullptr;
  if (static_cast<int64_t>(it->second.means.size()) != columns)
    bad_input("matrix " + name + " has " + std::to_string(it->second.means.size()) + " values, expected " + std::to_string(columns), name_, "use the importance matrix of this very model");
  return it->second.means.data();
}

void Importance::write(const std::filesystem::path& path, const std::string& dataset, int64_t chunks, int64_t chunk_tokens) const {
  GgufWriter out;
  out.set("general.type", GgufValue::text("imatrix"));
  out.set("imatrix.datasets", GgufValue::texts({dataset}));
  out.set("imatrix.chunk_count", GgufValue::u32(static_cast<uint32_t>(chunks)));
  out.set("imatrix.chunk_size", GgufValue::u32(static_cast<uint32_t>(chunk_tokens)));
  for (const auto& [matrix, e] : entries_) {
    std::string sums(e.squares.size() * 4, '\0'), count(4, '\0');
    for (size_t i = 0; i < e.squares.size(); ++i) {
      const auto value = static_cast<float>(e.squares[i]);
      std::memcpy(sums.data() + 4 * i, &value, 4);
    }
    const auto rows = static_cast<float>(e.rows);
    std::memcpy(count.data(), &rows, 4);
    out.add(matrix + ".in_sum2", {1, static_cast<int64_t>(e.squares.size())}, ElementType::kF32, std::move(sums));
    out.add(matrix + ".counts", {1, 1}, ElementType::kF32, std::move(count));
  }
  out.write(path);
}

}  // namespace ingot
