// For programs that go on after a Ctrl-C which stopped only a part of them; the rest is in progress.h.
#pragma once

namespace ingot {

void forget_interrupt();

}  // namespace ingot
