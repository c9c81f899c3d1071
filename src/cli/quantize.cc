#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "formats/gguf.h"
#include "kernels/dequantize.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

// Every matrix in `type`; one whose rows do not fill the type's blocks in Q8_0 or F16; vectors and small tables as they are.
void quantize(const std::string& in, const std::string& out, ElementType type, bool json) {
  auto file = Gguf::open(find_model(in));
  GgufWriter writer;
  for (const auto& [key, value] : file->metadata()) writer.set(key, value);
  uint64_t before = 0;
  std::vector<std::string> kept;
  for (const GgufTensor& t : file->tensors()) {
    before += t.bytes;
    const int64_t columns = t.shape.back();
    ElementType to = t.shape.size() < 2 ? t.type : type;
    for (ElementType less : {ElementType::kQ8_0, ElementType::kF16})
      if (columns % block_length(to)) to = less;
    if (t.shape.size() > 1 && to != type) kept.push_back(t.name);
    if (to == t.type) {
      writer.add(t.name, t.shape, t.type, t.data);
      continue;
    }
    const int64_t rows = t.elements() / columns;
    std::string bytes(static_cast<size_t>(rows * row_bytes(to, columns)), '\0');
    std::vector<float> row(static_cast<size_t>(columns));
    for (int64_t r = 0; r < rows; ++r) {
      dequantize_row(t.type, t.data + r * row_bytes(t.type, columns), row.data(), columns);
      quantize_row(to, row.data(), bytes.data() + r * row_bytes(to, columns), columns);
    }
    writer.add(t.name, t.shape, to, std::move(bytes));
  }
  if (!kept.empty())
    std::fprintf(stderr, "%zu tensors have rows that do not fill blocks of %s and were written with smaller blocks (first: %s)\n", kept.size(),
                 std::string(element_name(type)).c_str(), kept[0].c_str());
  writer.write(out);
  auto after = std::filesystem::file_size(out);
  if (json) std::printf("%s\n", nlohmann::json{{"file", out}, {"bytes_before", before}, {"bytes", after}, {"type", element_name(type)}, {"other_types", kept.size()}}.dump().c_str());
  else std::printf("%s: %.1f MB of weights became a file of %.1f MB\n", out.c_str(), static_cast<double>(before) / 1e6, static_cast<double>(after) / 1e6);
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto* command = app.add_subcommand("quantize", "Write a model with its matrices in another element type");
  struct Options {
    std::string in, out, type;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("IN", o->in, "a .gguf file, or a model's name")->required();
  command->add_option("OUT", o->out, "the .gguf file to write")->required();
  command->add_option("TYPE", o->type, "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K, Q6_K")->required();
  command->add_flag("--json", o->json, "one JSON object");
  command->callback([o] {
    auto type = element_type_of_name(o->type);
    if (!type || (*type != ElementType::kF32 && !can_quantize(*type)))
      throw Error(ErrorKind::usage, "\"" + o->type + "\" cannot be written", "TYPE", "use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K or Q6_K");
    std::error_code none;
    if (std::filesystem::equivalent(o->in, o->out, none)) throw Error(ErrorKind::usage, "IN and OUT are the same file", o->out, "write to another file");
    quantize(o->in, o->out, *type, o->json);
  });
}

}  // namespace ingot
