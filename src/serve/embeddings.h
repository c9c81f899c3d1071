// Vectors of texts, for the APIs that embed, rank and score.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ingot {

class Call;
class Service;
struct ServedModel;

struct Embedded {
  std::shared_ptr<const ServedModel> model;
  size_t width = 0;
  std::vector<float> rows;   // (N, width), each of unit length
  std::vector<int> windows;  // pieces that each text was cut in
  int64_t tokens = 0;        // of all texts, where the model's tokenizer can count them
  const float* row(size_t i) const { return rows.data() + i * width; }
};

// Throws Refusal: the model does not embed.
std::shared_ptr<const ServedModel> embedding_model(Service& service, const nlohmann::ordered_json& body);
Embedded embed(Call& call, std::shared_ptr<const ServedModel> model, const std::vector<std::string>& texts);
double cosine(const Embedded& e, size_t a, size_t b);

}  // namespace ingot
