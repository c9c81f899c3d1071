// CRC-32 as zip uses it (polynomial 0xedb88320).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ingot {

// Continues from `before` (0 at the start).
uint32_t crc32(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace ingot
