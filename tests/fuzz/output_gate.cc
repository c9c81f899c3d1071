#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "guard/output_gate.h"

// The first byte says how the rest is cut; what leaves must not depend on it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ingot::RailSettings settings;
  settings.output_private_data = ingot::RailMode::mask;
  settings.words = {"a+b"};
  settings.grounding = ingot::RailMode::block;
  const auto rails = std::make_shared<const ingot::Rails>(settings, std::nullopt);
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string out[2];
  for (size_t way = 0; way < 2; ++way) {
    const auto gate = ingot::make_release_gate(rails, {"what is it", {data[0] % 2 ? "It is the key 12 of Anna." : ""}});
    const size_t step = way == 0 ? 1 + data[0] % 37 : 1;
    for (size_t at = 0; at < text.size(); at += step) out[way] += gate->push(std::string_view(text).substr(at, step));
    out[way] += gate->finish();
    if (!gate->push("x").empty() && gate->stopped()) std::abort();
  }
  if (out[0] != out[1]) std::abort();
  return 0;
}
