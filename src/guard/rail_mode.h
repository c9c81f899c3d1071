// What a rail does with what it finds, and where it stands.
#pragma once

#include <string_view>

namespace ingot {

enum class RailMode : unsigned char { off, watch, block, mask };  // mask: private data only
std::string_view name_of(RailMode mode);

enum class RailStage : unsigned char { input, retrieved, output };  // retrieved: documents and the results of tools
constexpr int kStages = 3;
std::string_view name_of(RailStage stage);

enum class RailKind : unsigned char { length, private_data, words, injection, topic, language, repetition, grounding };
constexpr int kRails = 8;
std::string_view name_of(RailKind kind);

}  // namespace ingot
