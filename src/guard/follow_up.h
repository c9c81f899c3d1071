// A question such as "and in Verilog?" is about what was asked before it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "guard/topic/topic_rail.h"

namespace ingot {

// Does the text lean on what came before: is it short, and says nothing by itself, or one word behind "and", "what about", ...?
bool leans_on_earlier(std::string_view text);

// The rail's excess of the text; of one that leans on what came before, of both together if that is higher and the question
// before it was on topic.
double excess_in_conversation(const TopicRail& rail, const std::string& text, std::span<const std::string> earlier);

}  // namespace ingot
