// The reader of triage.bin; what it accepts must answer.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <span>
#include "foundry/triage/triage_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const TriageModel model = TriageModel::load(std::as_bytes(std::span(text)));
    if (!model.uses_llama()) model.classify("alpha0x beta1x common7");
    for (size_t i = 0; i < model.components().size() && i < 3; ++i) model.last_touchers(static_cast<int>(i));
    model.engineers_by_count();
    model.most_common_component();
    model.save();
  } catch (const Error&) {
  }
  return 0;
}
