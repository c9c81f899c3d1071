#include "guard/rail_mode.h"

namespace ingot {

std::string_view name_of(RailMode mode) {
  switch (mode) {
    case RailMode::off: return "off";
    case RailMode::watch: return "watch";
    case RailMode::block: return "block";
    case RailMode::mask: return "mask";
  }
  return "block";
}

std::string_view name_of(RailStage stage) {
  switch (stage) {
    case RailStage::input: return "input";
    case RailStage::retrieved: return "retrieved";
    case RailStage::output: return "output";
  }
  return "input";
}

std::string_view name_of(RailKind kind) {
  switch (kind) {
    case RailKind::length: return "length";
    case RailKind::private_data: return "private_data";
    case RailKind::words: return "words";
    case RailKind::injection: return "injection";
    case RailKind::topic: return "topic";
    case RailKind::language: return "language";
    case RailKind::repetition: return "repetition";
    case RailKind::grounding: return "grounding";
  }
  return "rail";
}

}  // namespace ingot
