#include "runtime/sampling_advice.h"

#include <cmath>

#include "formats/gguf.h"
#include "models/hf_config.h"
#include "runtime/sampler.h"

namespace ingot {
namespace {

constexpr const char* kGgufAdvice = "general.sampling.";

// Out of its range a number is no advice; one that turns a setting off is.
std::optional<double> within(double value, double least, double most) { return value >= least && value <= most ? std::optional(value) : std::nullopt; }

SamplingAdvice advice_of(double temperature, double top_p, double min_p, double repetition, double top_k) {
  SamplingAdvice out;
  out.temperature = within(temperature, 0, 100);
  out.top_p = within(top_p, 0, 1);
  out.min_p = within(min_p, 0, 1);
  out.repetition = within(repetition, 0.01, 100);
  if (within(top_k, 0, 1 << 24)) out.top_k = static_cast<int>(top_k);
  return out;
}

}  // namespace

SamplingAdvice SamplingAdvice::of_folder(const std::filesystem::path& folder) {
  if (!std::filesystem::is_regular_file(folder / "generation_config.json")) return {};
  const HfConfig file = HfConfig::open(folder / "generation_config.json");
  return advice_of(file.number("temperature", -1), file.number("top_p", -1), file.number("min_p", -1), file.number("repetition_penalty", -1), file.number("top_k", -1));
}

SamplingAdvice SamplingAdvice::of_gguf(const Gguf& file) {
  auto number = [&](const char* key) { return file.number(std::string(kGgufAdvice) + key, -1); };
  return advice_of(number("temp"), number("top_p"), number("min_p"), number("penalty_repeat"), number("top_k"));
}

void SamplingAdvice::write(GgufWriter& out) const {
  const auto set = [&](const char* key, const std::optional<double>& value) {
    if (value) out.set(std::string(kGgufAdvice) + key, GgufValue::f32(static_cast<float>(*value)));
  };
  set("temp", temperature);
  set("top_p", top_p);
  set("min_p", min_p);
  set("penalty_repeat", repetition);
  if (top_k) out.set(std::string(kGgufAdvice) + "top_k", {GgufType::kI32, {}, int64_t{*top_k}});
}

void SamplingAdvice::apply(Sampling& to) const {
  to.temperature = temperature.value_or(to.temperature);
  to.top_p = top_p.value_or(to.top_p);
  to.min_p = min_p.value_or(to.min_p);
  to.repetition = repetition.value_or(to.repetition);
  to.top_k = top_k.value_or(to.top_k);
}

}  // namespace ingot
