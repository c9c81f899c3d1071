#include "foundry/person_names.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace ingot {
namespace {

constexpr size_t kMostNames = 3;  // with one address before it counts as a role's, not a person's

struct Spelling {
  std::string name, mail;  // lower case, single spaces; either may be empty
};

std::string plain(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) || c == '"') {
      if (!result.empty() && result.back() != ' ') result += ' ';
    } else {
      result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

Spelling parse(std::string_view text) {
  const size_t open = text.rfind('<'), close = text.rfind('>');
  if (open != std::string_view::npos && close != std::string_view::npos && close > open && text.substr(open, close - open).find('@') != std::string_view::npos) {
    return {plain(text.substr(0, open)), plain(text.substr(open + 1, close - open - 1))};
  }
  const std::string whole = plain(text);
  const bool mail = whole.find('@') != std::string::npos && whole.find(' ') == std::string::npos;
  return mail ? Spelling{"", whole} : Spelling{whole, ""};
}

// For each distinct spelling the key of its person.
std::map<std::string, std::string> people_of(const std::set<std::string>& spellings) {
  std::map<std::string, std::set<std::string>> names_of, mails_of;
  for (const std::string& one : spellings) {
    const Spelling s = parse(one);
    if (s.name.empty() || s.mail.empty()) continue;
    names_of[s.mail].insert(s.name);
    mails_of[s.name].insert(s.mail);
  }
  const auto personal = [&](const std::string& mail) { return names_of[mail].size() <= kMostNames; };
  std::map<std::string, std::string> keys;
  for (const std::string& one : spellings) {
    const Spelling s = parse(one);
    if (!s.mail.empty()) keys[one] = personal(s.mail) ? "mail " + s.mail : "both " + s.name + " " + s.mail;
    else if (const auto at = mails_of.find(s.name); at != mails_of.end() && at->second.size() == 1 && personal(*at->second.begin())) keys[one] = "mail " + *at->second.begin();
    else keys[one] = "name " + s.name;
  }
  return keys;
}

}  // namespace

size_t merge_spellings(std::vector<Record>& records) {
  std::map<std::string, size_t> uses;
  std::set<std::string> spellings;
  for (const Record& record : records) {
    ++uses[record.engineer];
    spellings.insert(record.engineer);
  }
  const auto keys = people_of(spellings);
  std::map<std::string, std::string> best;
  for (const auto& [spelling, key] : keys) {
    std::string& now = best[key];
    if (now.empty() || uses[spelling] > uses[now] || (uses[spelling] == uses[now] && spelling.size() > now.size())) now = spelling;
  }
  for (Record& record : records) record.engineer = best[keys.at(record.engineer)];
  return keys.size() - best.size();
}

void match_spellings(std::vector<Record>& records, std::span<const std::string> known) {
  std::set<std::string> spellings(known.begin(), known.end());
  for (const Record& record : records) spellings.insert(record.engineer);
  const auto keys = people_of(spellings);
  std::map<std::string, std::vector<std::string>> theirs;
  for (const std::string& one : known) theirs[keys.at(one)].push_back(one);
  for (Record& record : records) {
    if (std::binary_search(known.begin(), known.end(), record.engineer)) continue;
    const auto at = theirs.find(keys.at(record.engineer));
    if (at != theirs.end() && at->second.size() == 1) record.engineer = at->second[0];
  }
}

}  // namespace ingot
