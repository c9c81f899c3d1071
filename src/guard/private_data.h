// Finds what identifies a person or opens a door: addresses, numbers with their checksums, keys by shape and entropy.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

enum class PrivateKind { email, phone, card, iban, national_id, secret, address };
std::string_view name_of(PrivateKind kind);

struct PrivateSpan {
  size_t begin, end;  // bytes of the text
  PrivateKind kind;
};

// Spans in rising order that do not overlap. Any bytes are allowed; time is linear in the text, each look-ahead is bounded.
// National ids: see national_ids.h; addresses: street_address.h.
std::vector<PrivateSpan> find_private_data(std::string_view text);

// The text with each span replaced by its kind in brackets, as "[e-mail]".
std::string mask_private_data(std::string_view text, const std::vector<PrivateSpan>& spans);
std::string mask_private_data(std::string_view text);

}  // namespace ingot
