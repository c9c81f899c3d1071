// SHA-256 through OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::span<const std::byte> bytes);
Digest sha256(std::string_view text);
std::string hex(std::span<const unsigned char> bytes);

}  // namespace ingot
