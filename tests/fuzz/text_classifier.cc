// The readers of classify.bin and guard.bin; what they accept must answer.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <span>
#include "foundry/classify/text_classifier.h"
#include "guard/rails.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto bytes = std::as_bytes(std::span(text));
    try {
      Rails::load(bytes, {}).check("a text of mail@example.org");
    } catch (const Error&) {
    }
    TextClassifier::load(bytes, nullptr).classify("red green 12");
  } catch (const Error&) {
  }
  return 0;
}
