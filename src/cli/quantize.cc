#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/threads.h"
#include "formats/gguf.h"
#include "formats/importance.h"
#include "kernels/dequantize.h"
#include "runtime/model_gguf.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

struct QuantizeOptions {
  std::string in, out, type, importance;
  bool json = false;
};

// A type for all matrices, or a mixture under its usual name: those that an error hurts most get more bits.
struct Plan {
  ElementType type = ElementType::kF16;
  bool mixture = false;

  ElementType of(const std::string& name, int64_t layers, bool tied) const {
    if (!mixture) return type;
    if (name == "output.weight" || (tied && name == "token_embd.weight")) return ElementType::kQ6_K;
    const bool value = name.find(".attn_v.") != std::string::npos, down = name.find(".ffn_down.") != std::string::npos;
    if (type == ElementType::kQ3_K && name.find(".attn_output.") != std::string::npos) return ElementType::kQ4_K;
    if (!value && !down) return type;
    const int64_t layer = std::strtol(name.c_str() + 4, nullptr, 10);
    const bool edge = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    if (type == ElementType::kQ3_K) return layer < std::max<int64_t>(2, layers / 16) ? ElementType::kQ5_K : value || edge ? ElementType::kQ4_K : type;
    return edge ? ElementType::kQ6_K : type;
  }
};

Plan plan_of(const std::string& name) {
  for (ElementType mixed : {ElementType::kQ3_K, ElementType::kQ4_K, ElementType::kQ5_K})
    if (name == std::string(element_name(mixed)) + "_M") return {mixed, true};
  auto type = element_type_of_name(name);
  if (!type)
    throw Error(ErrorKind::usage, "\"" + name + "\" is no type", "TYPE",
                "use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS, or the mixtures Q3_K_M, Q4_K_M, Q5_K_M");
  return {*type, false};
}

// What rows that do not fill a type's blocks are written in: the next that has at least its bits.
ElementType fitting(ElementType type, int64_t columns) {
  if (columns % block_length(type) == 0) return type;
  if (columns % 32) return ElementType::kF16;
  switch (type) {
    case ElementType::kQ4_K: return ElementType::kQ5_0;
    case ElementType::kQ5_K: return ElementType::kQ5_1;
    case ElementType::kQ6_K: return ElementType::kQ8_0;
    default: return ElementType::kIQ4_NL;
  }
}

std::string quantized(const GgufTensor& t, ElementType to, const float* importance) {
  const int64_t columns = t.shape.back(), rows = t.elements() / columns;
  std::string bytes(static_cast<size_t>(rows * row_bytes(to, columns)), '\0');
  default_team().parallel_for(static_cast<size_t>(rows), 16, [&](size_t from, size_t to_row) {
    std::vector<float> row(static_cast<size_t>(columns));
    for (auto r = static_cast<int64_t>(from); r < static_cast<int64_t>(to_row) && !interrupted(); ++r) {
      dequantize_row(t.type, t.data + r * row_bytes(t.type, columns), row.data(), columns);
      quantize_row(to, row.data(), bytes.data() + r * row_bytes(to, columns), columns, importance);
    }
  });
  return bytes;
}

void quantize(const QuantizeOptions& o) {
  const Plan plan = plan_of(o.type);
  check_output(o.out);
  auto file = gguf_of_model(find_model(o.in));
  Importance importance;
  if (!o.importance.empty()) importance = Importance::open(o.importance);
  const int64_t layers = file->integer(file->text("general.architecture", "llama") + ".block_count", 1);
  const bool tied = !file->find("output.weight");
  GgufWriter writer;
  writer.copy_metadata(*file);
  writer.set("general.quantization_version", GgufValue::u32(2));
  uint64_t before = 0;
  size_t weighed = 0;
  std::vector<std::string> kept;
  Progress progress("quantize", file->tensors().size());
  for (const GgufTensor& t : file->tensors()) {
    before += t.bytes;
    // An encoder's positions and types are added, never multiplied, and small: other programs expect them as they are.
    const bool matrix = t.shape.size() > 1 && t.name != "position_embd.weight" && t.name != "token_types.weight";
    const ElementType wanted = matrix ? plan.of(t.name, layers, tied) : t.type, to = fitting(wanted, t.shape.back());
    if (matrix && to != wanted) kept.push_back(t.name);
    if (to == t.type) {
      writer.add(t.name, t.shape, t.type, t.data);
    } else {
      const float* weights = importance.find(t.name, t.shape.back());
      weighed += weights != nullptr;
      writer.add(t.name, t.shape, to, quantized(t, to, weights));
    }
    stop_if_interrupted("quantize");  // the rows of a large matrix ask, too
    progress.advance(1, t.name);
  }
  progress.finish();
  if (!kept.empty())
    std::fprintf(stderr, "%zu matrices have rows that do not fill blocks of %s and were written with smaller blocks (first: %s)\n", kept.size(), o.type.c_str(), kept[0].c_str());
  if (!o.importance.empty() && !weighed) bad_input("it names none of the matrices that were written", o.importance, "use the importance matrix of this very model");
  writer.write(o.out);
  auto after = std::filesystem::file_size(o.out);
  if (o.json)
    std::printf("%s\n", nlohmann::json{{"file", o.out}, {"bytes_before", before}, {"bytes", after}, {"type", o.type}, {"other_types", kept.size()}, {"weighed_by_importance", weighed}}.dump().c_str());
  else
    std::printf("%s: %.1f MB of weights became a file of %.1f MB\n", o.out.c_str(), static_cast<double>(before) / 1e6, static_cast<double>(after) / 1e6);
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto* command = app.add_subcommand("quantize", "Write a model with its matrices in another element type");
  auto o = std::make_shared<QuantizeOptions>();
  command->add_option("IN", o->in, "a .gguf file, a Hugging Face folder, or a model's name")->required();
  command->add_option("OUT", o->out, "the .gguf file to write")->required();
  command->add_option("TYPE", o->type, "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS; mixtures: Q3_K_M, Q4_K_M, Q5_K_M")->required();
  command->add_option("--imatrix", o->importance, "an importance matrix (made with: ingot imatrix): errors are moved to where they matter less");
  command->add_flag("--json", o->json, "one JSON object");
  command->callback([o] {
    std::error_code none;
    if (std::filesystem::equivalent(o->in, o->out, none)) throw Error(ErrorKind::usage, "IN and OUT are the same file", o->out, "write to another file");
    quantize(*o);
  });
}

}  // namespace ingot
