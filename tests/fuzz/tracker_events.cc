// Webhooks of issue trackers.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "serve/tracker_events.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Json = nlohmann::ordered_json;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Json event = Json::parse(text, [](int depth, Json::parse_event_t, const Json&) { return depth < 64; }, false);
  if (event.is_discarded()) return 0;
  std::string tracker;
  ingot::read_tracker_event(event, &tracker);
  return 0;
}
