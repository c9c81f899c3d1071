#include "formats/gguf.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "formats/shape_text.h"

namespace ingot {
namespace {

constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
const char kGgufTodo[] = "the file is damaged or not made by a GGUF writer; fetch it again";

class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  [[noreturn]] void fail(const std::string& what) const { bad_input(what, name_ + " at byte " + std::to_string(at_), kGgufTodo); }
  size_t left() const { return bytes_.size() - at_; }
  size_t at() const { return at_; }

  template <class T>
  T get() {
    if (left() < sizeof(T)) fail("the file ends inside its header");
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string string() {
    uint64_t n = get<uint64_t>();
    if (n > left()) fail("a text of " + std::to_string(n) + " bytes, but only " + std::to_string(left()) + " are left");
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, n);
    at_ += n;
    return text;
  }

  GgufType type() {
    uint32_t id = get<uint32_t>();
    if (id > 12) fail("unknown metadata type " + std::to_string(id));
    return static_cast<GgufType>(id);
  }

  int64_t integer(GgufType type) {
    switch (type) {
      case GgufType::kU8: return get<uint8_t>();
      case GgufType::kI8: return get<int8_t>();
      case GgufType::kU16: return get<uint16_t>();
      case GgufType::kI16: return get<int16_t>();
      case GgufType::kU32: return get<uint32_t>();
      case GgufType::kI32: return get<int32_t>();
      case GgufType::kBool: return get<uint8_t>() != 0;
      case GgufType::kI64: return get<int64_t>();
      default: {
        uint64_t v = get<uint64_t>();
        if (v > uint64_t{std::numeric_limits<int64_t>::max()}) fail("an integer out of range");
        return static_cast<int64_t>(v);
      }
    }
  }

  GgufValue value() {
    GgufValue v;
    v.type = type();
    switch (v.type) {
      case GgufType::kString: v.value = string(); break;
      case GgufType::kF32: v.value = double{get<float>()}; break;
      case GgufType::kF64: v.value = get<double>(); break;
      case GgufType::kBool: v.value = integer(v.type) != 0; break;
      case GgufType::kArray: array(v); break;
      default: v.value = integer(v.type);
    }
    return v;
  }

 private:
  void array(GgufValue& v) {
    v.element = type();
    uint64_t n = get<uint64_t>();
    if (v.element == GgufType::kArray) fail("an array of arrays, which no known key has");
    size_t least = v.element == GgufType::kString ? 8 : kSizes[static_cast<size_t>(v.element)];
    if (n > left() / least) fail("an array of " + std::to_string(n) + " elements does not fit the file");
    if (v.element == GgufType::kString) {
      std::vector<std::string> items;
      items.reserve(n);
      for (uint64_t i = 0; i < n; ++i) items.push_back(string());
      v.value = std::move(items);
    } else if (v.element == GgufType::kF32 || v.element == GgufType::kF64) {
      std::vector<double> items(n);
      for (double& item : items) item = v.element == GgufType::kF32 ? double{get<float>()} : get<double>();
      v.value = std::move(items);
    } else {
      std::vector<int64_t> items(n);
      for (int64_t& item : items) item = integer(v.element);
      v.value = std::move(items);
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  size_t at_ = 0;
};

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out.append(text);
}

void put_integer(std::string& out, GgufType type, int64_t v) {
  switch (kSizes[static_cast<size_t>(type)]) {
    case 1: return put<int8_t>(out, static_cast<int8_t>(v));
    case 2: return put<int16_t>(out, static_cast<int16_t>(v));
    case 4: return put<int32_t>(out, static_cast<int32_t>(v));
    default: return put<int64_t>(out, v);
  }
}

void put_number(std::string& out, GgufType type, double v) {
  if (type == GgufType::kF32) return put<float>(out, static_cast<float>(v));
  put<double>(out, v);
}

bool is_gguf(std::span<const std::byte> bytes) { return bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0; }

constexpr int64_t kMostParts = 1000;
constexpr int64_t kAlignment = 32;  // without the key general.alignment

std::string part_ending(int64_t index, int64_t count) {
  char text[40];
  std::snprintf(text, sizeof text, "-%05d-of-%05d.gguf", static_cast<int>(index + 1), static_cast<int>(count));
  return text;
}

}  // namespace

int64_t GgufTensor::elements() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

std::shared_ptr<const Gguf> Gguf::open(const std::filesystem::path& path) {
  auto gguf = std::make_shared<Gguf>();
  gguf->file_ = MappedFile(path);
  gguf->name_ = path.string();
  gguf->read(gguf->file_.bytes());
  const int64_t count = gguf->integer("split.count", 1);
  if (count == 1) return gguf;
  if (count < 1 || count > kMostParts) bad_input("split.count is " + std::to_string(count) + ", expected 1 to " + std::to_string(kMostParts), gguf->name_, kGgufTodo);
  // NAME-00001-of-00003.gguf: the first has the metadata, each has some of the tensors.
  const std::string file = path.filename().string(), end = part_ending(0, count);
  if (gguf->integer("split.no") != 0 || !file.ends_with(end))
    bad_input("this is not the first of " + std::to_string(count) + " parts, whose name ends in " + end, gguf->name_, "give the first part, the others beside it under their own names");
  for (int64_t i = 1; i < count; ++i) {
    const auto other = path.parent_path() / (file.substr(0, file.size() - end.size()) + part_ending(i, count));
    std::error_code error;
    if (!std::filesystem::is_regular_file(other, error)) bad_input("part " + std::to_string(i + 1) + " of " + std::to_string(count) + " is missing", other.string(), "fetch all parts into one folder");
    auto part = std::make_shared<Gguf>();
    gguf->parts_.push_back(part);
    part->file_ = MappedFile(other);
    part->name_ = other.string();
    part->read(part->file_.bytes());
    if (part->integer("split.no") != i || part->integer("split.count") != count)
      bad_input("the file says it is part " + std::to_string(part->integer("split.no") + 1) + " of " + std::to_string(part->integer("split.count")) + ", expected part " +
                    std::to_string(i + 1) + " of " + std::to_string(count), part->name_, "fetch the part again");
    for (const GgufTensor& t : part->tensors_) {
      if (!gguf->index_.emplace(t.name, gguf->tensors_.size()).second) bad_input("the tensor " + t.name + " stands in two parts", part->name_, kGgufTodo);
      gguf->tensors_.push_back(t);
    }
  }
  const int64_t expected = gguf->integer("split.tensors.count", static_cast<int64_t>(gguf->tensors_.size()));
  if (expected != static_cast<int64_t>(gguf->tensors_.size()))
    bad_input("the parts hold " + std::to_string(gguf->tensors_.size()) + " tensors, expected " + std::to_string(expected), gguf->name_, "fetch the model again");
  return gguf;
}

std::shared_ptr<const Gguf> Gguf::parse(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner) {
  auto gguf = std::make_shared<Gguf>();
  gguf->name_ = std::move(name);
  gguf->owner_ = std::move(owner);
  gguf->read(bytes);
  return gguf;
}

std::string Gguf::architecture(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (!is_gguf(file.bytes())) return "";
  const std::string name = path.string();
  GgufReader in(file.bytes(), name);
  in.get<uint32_t>(), in.get<uint32_t>(), in.get<uint64_t>();  // the mark, the version, how many tensors
  for (uint64_t left = in.get<uint64_t>(); left > 0; --left) {
    const std::string key = in.string();
    GgufValue value = in.value();
    if (auto* text = std::get_if<std::string>(&value.value); text && key == "general.architecture") return std::move(*text);
  }
  return "";
}

void Gguf::read(std::span<const std::byte> bytes) {
  GgufReader in(bytes, name_);
  if (!is_gguf(bytes)) bad_input("not a GGUF file: it does not begin with \"GGUF\"", name_, "give a model file ending in .gguf");
  in.get<uint32_t>();
  uint32_t version = in.get<uint32_t>();
  if (version != 2 && version != 3)
    bad_input("GGUF version " + std::to_string(version) + ", expected 2 or 3", name_, "convert the model again with a current tool");
  uint64_t tensor_count = in.get<uint64_t>(), key_count = in.get<uint64_t>();
  for (uint64_t i = 0; i < key_count; ++i) {
    std::string key = in.string();
    if (!metadata_.emplace(key, in.value()).second) in.fail("the key " + key + " stands twice");
  }
  int64_t alignment = integer("general.alignment", kAlignment);
  if (alignment < 8 || alignment > (1 << 20) || (alignment & (alignment - 1)))
    in.fail("general.alignment is " + std::to_string(alignment) + ", expected a power of two from 8 to " + std::to_string(1 << 20));
  std::vector<uint64_t> offsets;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    GgufTensor t;
    t.name = in.string();
    uint32_t dims = in.get<uint32_t>();
    if (dims < 1 || dims > 4) in.fail("tensor " + t.name + " has " + std::to_string(dims) + " dimensions, expected 1 to 4");
    t.shape.resize(dims);
    uint64_t elements = 1;
    for (size_t d = dims; d-- > 0;) {  // the file has the innermost first
      uint64_t n = in.get<uint64_t>();
      if (n < 1 || n > (uint64_t{1} << 48) / elements) in.fail("tensor " + t.name + " has an impossible dimension " + std::to_string(n));
      elements *= n;
      t.shape[d] = static_cast<int64_t>(n);
    }
    uint32_t id = in.get<uint32_t>();
    auto type = element_type_of_gguf(id);
    if (!type) {
      std::string known;
      for (int i = 0; i < kElementTypes; ++i) known += (i ? ", " : "") + std::string(element_name(static_cast<ElementType>(i)));
      bad_input("tensor " + t.name + " has element type " + std::to_string(id) + ", which is not supported; supported are " + known, name_, "use the model in one of these types");
    }
    t.type = *type;
    if (t.shape.back() % block_length(t.type))
      in.fail("tensor " + t.name + " has rows of " + std::to_string(t.shape.back()) + ", expected a multiple of " + std::to_string(block_length(t.type)));
    t.bytes = elements / static_cast<uint64_t>(block_length(t.type)) * static_cast<uint64_t>(block_bytes(t.type));
    offsets.push_back(in.get<uint64_t>());
    if (offsets.back() % static_cast<uint64_t>(alignment)) in.fail("tensor " + t.name + " is not aligned");
    if (!index_.emplace(t.name, tensors_.size()).second) in.fail("the tensor " + t.name + " stands twice");
    tensors_.push_back(std::move(t));
  }
  size_t base = (in.at() + static_cast<size_t>(alignment) - 1) / static_cast<size_t>(alignment) * static_cast<size_t>(alignment);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    GgufTensor& t = tensors_[i];
    if (base > bytes.size() || offsets[i] > bytes.size() - base || t.bytes > bytes.size() - base - offsets[i])
      bad_input("tensor " + t.name + " needs " + std::to_string(t.bytes) + " bytes at " + std::to_string(offsets[i]) + " of the data, but the file ends",
                name_, kGgufTodo);
    t.data = bytes.data() + base + offsets[i];
  }
  // So that what a model needs in memory is bounded by the file's size.
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return std::pair(offsets[a], a) < std::pair(offsets[b], b); });
  for (size_t i = 1; i < order.size(); ++i)
    if (const GgufTensor& before = tensors_[order[i - 1]]; before.data + before.bytes > tensors_[order[i]].data)
      bad_input("tensor " + tensors_[order[i]].name + " begins inside tensor " + before.name, name_, kGgufTodo);
}

void Gguf::release_pages() const {
  file_.release();
  for (const auto& part : parts_) part->release_pages();
}

const GgufTensor* Gguf::find(std::string_view name) const {
  auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

const GgufTensor& Gguf::tensor(std::string_view name, std::span<const int64_t> shape) const {
  const GgufTensor* t = find(name);
  if (!t) bad_input("tensor " + std::string(name) + " is missing, expected shape " + shape_text(shape), name_, "use a complete model file");
  if (!std::equal(shape.begin(), shape.end(), t->shape.begin(), t->shape.end()))
    bad_input("tensor " + t->name + " has shape " + shape_text(t->shape) + ", expected " + shape_text(shape), name_, "the metadata and the weights disagree; fetch the model again");
  return *t;
}

int64_t Gguf::integer(std::string_view key) const {
  auto it = metadata_.find(key);
  const int64_t* v = it == metadata_.end() ? nullptr : std::get_if<int64_t>(&it->second.value);
  if (!v) bad_input("the key " + std::string(key) + " is missing or no integer", name_, "use a complete model file");
  return *v;
}

int64_t Gguf::integer(std::string_view key, int64_t otherwise) const { return has(key) ? integer(key) : otherwise; }

double Gguf::number(std::string_view key, double otherwise) const {
  auto it = metadata_.find(key);
  if (it == metadata_.end()) return otherwise;
  if (auto v = std::get_if<double>(&it->second.value)) return *v;
  return static_cast<double>(integer(key));
}

bool Gguf::boolean(std::string_view key, bool otherwise) const {
  auto it = metadata_.find(key);
  if (it == metadata_.end()) return otherwise;
  const bool* v = std::get_if<bool>(&it->second.value);
  return v ? *v : otherwise;
}

const std::string& Gguf::text(std::string_view key) const {
  auto it = metadata_.find(key);
  const std::string* v = it == metadata_.end() ? nullptr : std::get_if<std::string>(&it->second.value);
  if (!v) bad_input("the key " + std::string(key) + " is missing or no text", name_, "use a complete model file");
  return *v;
}

std::string Gguf::text(std::string_view key, std::string otherwise) const { return has(key) ? text(key) : otherwise; }

void GgufWriter::copy_metadata(const Gguf& from) {
  for (const auto& [key, value] : from.metadata())
    if (!key.starts_with("split.") && key != "general.file_type") set(key, value);
}

void GgufWriter::add(std::string name, std::vector<int64_t> shape, ElementType type, const void* data) {
  uint64_t size = static_cast<uint64_t>(row_bytes(type, shape.empty() ? 0 : shape.back()));
  for (size_t i = 0; i + 1 < shape.size(); ++i) size *= static_cast<uint64_t>(shape[i]);
  tensors_.push_back({std::move(name), std::move(shape), type, data, nullptr, size});
}

void GgufWriter::add(std::string name, std::vector<int64_t> shape, ElementType type, std::string owned) {
  add(std::move(name), std::move(shape), type, static_cast<const void*>(nullptr));
  Entry& entry = tensors_.back();
  if (owned.size() != entry.size) throw Error(ErrorKind::internal, "tensor " + entry.name + " has the wrong number of bytes", "", "report this");
  entry.owned = std::make_shared<std::string>(std::move(owned));
  entry.data = entry.owned->data();
}

std::string GgufWriter::bytes() const {
  std::string out = "GGUF";
  put<uint32_t>(out, 3);
  put<uint64_t>(out, tensors_.size());
  put<uint64_t>(out, metadata_.size());
  for (const auto& entry : metadata_) {  // clang 14 cannot capture a structured binding
    const std::string& key = entry.first;
    const GgufValue& v = entry.second;
    put_text(out, key);
    put<uint32_t>(out, static_cast<uint32_t>(v.type));
    if (v.type == GgufType::kArray) put<uint32_t>(out, static_cast<uint32_t>(v.element));
    std::visit(
        [&](const auto& x) {
          using T = std::decay_t<decltype(x)>;
          if constexpr (std::is_same_v<T, std::string>) put_text(out, x);
          else if constexpr (std::is_same_v<T, double>) put_number(out, v.type, x);
          else if constexpr (std::is_same_v<T, bool>) put<uint8_t>(out, x);
          else if constexpr (std::is_same_v<T, int64_t>) put_integer(out, v.type, x);
          else {
            put<uint64_t>(out, x.size());
            for (const auto& item : x) {
              if constexpr (std::is_same_v<T, std::vector<std::string>>) put_text(out, item);
              else if constexpr (std::is_same_v<T, std::vector<double>>) put_number(out, v.element, item);
              else put_integer(out, v.element, item);
            }
          }
        },
        v.value);
  }
  const auto key = metadata_.find("general.alignment");
  const auto alignment = static_cast<uint64_t>(key == metadata_.end() ? kAlignment : std::get<int64_t>(key->second.value));
  auto aligned = [alignment](uint64_t size) { return (size + alignment - 1) / alignment * alignment; };
  uint64_t offset = 0;
  for (const Entry& t : tensors_) {
    put_text(out, t.name);
    put<uint32_t>(out, static_cast<uint32_t>(t.shape.size()));
    for (size_t d = t.shape.size(); d-- > 0;) put<uint64_t>(out, static_cast<uint64_t>(t.shape[d]));
    put<uint32_t>(out, gguf_type_id(t.type));
    put<uint64_t>(out, offset);
    offset += aligned(t.size);
  }
  out.resize(aligned(out.size()));
  for (const Entry& t : tensors_) {
    out.append(static_cast<const char*>(t.data), t.size);
    out.resize(aligned(out.size()));
  }
  return out;
}

void GgufWriter::write(const std::filesystem::path& path) const { write_file(path, bytes()); }

}  // namespace ingot
