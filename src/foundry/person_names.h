// One person, several spellings: "Ann Lee <ann@x.org>", "ann@x.org" and "Ann Lee" are one engineer.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "foundry/record.h"

namespace ingot {

// Gives every record its engineer's most used spelling. Spellings are one person when they share an e-mail address (unless more
// than three names do: a list or a role), or when a bare name belongs to exactly one address; case and spaces do not count. The
// same name with two addresses stays two people. Returns how many spellings went into another.
size_t merge_spellings(std::vector<Record>& records);

// Gives an engineer who is not in `known` (sorted) the one known spelling that is the same person; leaves the others.
void match_spellings(std::vector<Record>& records, std::span<const std::string> known);

}  // namespace ingot
