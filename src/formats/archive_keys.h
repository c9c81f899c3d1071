// Ed25519 (RFC 8032) through OpenSSL; keys and signatures as raw bytes.
#pragma once

#include <string>
#include <string_view>

namespace ingot {

std::string ed25519_sign(std::string_view seed, std::string_view message);  // 64 bytes
bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace ingot
