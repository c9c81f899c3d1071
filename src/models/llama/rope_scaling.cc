#include "models/llama/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace ingot {
namespace {

void check(const RopeScaling& s, const std::string& where) {
  auto within = [&](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      bad_input(std::string("the rotary scaling's ") + name + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " + std::to_string(high), where,
                "the model file is damaged; fetch it again");
  };
  if (s.kind == RopeScaling::Kind::kNone) return;
  within("factor", s.factor, 1e-6, 1e6);
  within("original context", s.trained, 1, 1e12);
  within("beta_fast", s.beta_fast, 1e-6, 1e6);
  within("beta_slow", s.beta_slow, 1e-6, 1e6);
  within("attention_factor", s.attention_factor, 0, 1e6);
  if (s.kind == RopeScaling::Kind::kLlama3) {
    within("low_freq_factor", s.low_frequency_factor, 1e-6, 1e6);
    within("high_freq_factor", s.high_frequency_factor, s.low_frequency_factor * (1 + 1e-9), 1e6);
  }
}

double mscale_of(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

}  // namespace

RopeScaling RopeScaling::of(const HfConfig& f, int64_t context) {
  RopeScaling s;
  const std::string type = f.text("rope_type", f.text("type", "default"));
  if (type == "default" || type == "none") return s;
  if (type == "linear") s.kind = Kind::kLinear;
  else if (type == "dynamic") s.kind = Kind::kDynamic;
  else if (type == "yarn") s.kind = Kind::kYarn;
  else if (type == "llama3") s.kind = Kind::kLlama3;
  else f.refuse("the rotary scaling \"" + type + "\" is not known (default, linear, dynamic, yarn, llama3)");
  s.trained = f.number("original_max_position_embeddings", static_cast<double>(context));
  s.factor = f.number("factor", s.kind == Kind::kYarn ? static_cast<double>(context) / s.trained : 1);
  s.beta_fast = f.number("beta_fast", 32);
  s.beta_slow = f.number("beta_slow", 1);
  s.attention_factor = f.number("attention_factor", 0);
  s.mscale = f.number("mscale", 0);
  s.mscale_all = f.number("mscale_all_dim", 0);
  s.truncate = f.boolean("truncate", true);
  s.low_frequency_factor = f.number("low_freq_factor", 1);
  s.high_frequency_factor = f.number("high_freq_factor", 4);
  if (s.kind == Kind::kDynamic) s.trained = static_cast<double>(context);  // it grows past the whole context
  check(s, f.name());
  return s;
}

RopeScaling RopeScaling::of(const Gguf& f, const std::string& architecture, int64_t context) {
  RopeScaling s;
  const std::string at = architecture + ".rope.scaling.", type = f.text(at + "type", "none");
  s.factor = f.number(at + "factor", 1);
  if (type == "none" && s.factor == 1) return s;
  if (type == "none" || type == "linear") s.kind = Kind::kLinear;
  else if (type == "yarn") s.kind = Kind::kYarn;
  else bad_input("the rotary scaling \"" + type + "\" is not known (none, linear, yarn)", f.name(), "use another model");
  s.trained = static_cast<double>(f.integer(at + "original_context_length", context));
  s.beta_fast = f.number(at + "yarn_beta_fast", 32);
  s.beta_slow = f.number(at + "yarn_beta_slow", 1);
  if (double given = f.number(at + "attn_factor", 1); s.kind == Kind::kYarn) s.attention_factor = given * mscale_of(s.factor, 1);
  check(s, f.name());
  return s;
}

std::vector<float> RopeScaling::inverse_frequencies(double base, int64_t dims) const {
  const auto d = static_cast<double>(dims);
  std::vector<float> out;
  // Peng 2023: the dimension whose frequency makes so many turns within the trained context.
  auto dimension = [&](double turns) { return d * std::log(trained / (turns * 2 * std::numbers::pi)) / (2 * std::log(base)); };
  for (int64_t i = 0; i < dims / 2; ++i) {
    double frequency = std::pow(base, -2.0 * static_cast<double>(i) / d);
    if (kind == Kind::kLinear) frequency /= factor;
    if (kind == Kind::kYarn) {  // low frequencies are divided, high ones kept, a ramp between
      double low = dimension(beta_fast), high = dimension(beta_slow);
      if (truncate) low = std::floor(low), high = std::ceil(high);
      low = std::max(0.0, low), high = std::min(d - 1, high);
      const double ramp = std::clamp((static_cast<double>(i) - low) / (high == low ? 0.001 : high - low), 0.0, 1.0);
      frequency = frequency / factor * ramp + frequency * (1 - ramp);
    }
    if (kind == Kind::kLlama3) {
      const double length = 2 * std::numbers::pi / frequency, longest = trained / low_frequency_factor, shortest = trained / high_frequency_factor;
      if (length > longest) {
        frequency /= factor;
      } else if (length >= shortest) {
        const double smooth = (trained / length - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
        frequency = (1 - smooth) * frequency / factor + smooth * frequency;
      }
    }
    out.push_back(static_cast<float>(frequency));
  }
  return out;
}

float RopeScaling::magnitude() const {
  if (kind != Kind::kYarn) return 1;
  if (attention_factor > 0) return static_cast<float>(attention_factor);
  if (mscale > 0 && mscale_all > 0) return static_cast<float>(mscale_of(factor, mscale) / mscale_of(factor, mscale_all));
  return static_cast<float>(mscale_of(factor, 1));
}

}  // namespace ingot
