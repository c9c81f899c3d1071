#include "guard/output_gate.h"

namespace ingot {

std::unique_ptr<ReleaseGate> make_release_gate(std::shared_ptr<const Rails>, AnswerContext) { return std::make_unique<OpenGate>(); }

}  // namespace ingot
