// A short walk through a grammar's masks over a vocabulary of bytes and a few longer pieces.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/grammar/matcher.h"

namespace ingot {

inline void walk_grammar(const grammar::Grammar& g) {
  static const auto* words = [] {
    auto* all = new std::vector<std::string>;
    for (int b = 0; b < 256; ++b) all->push_back(std::string(1, static_cast<char>(b)));
    for (const char* w : {"{\"", "\":", "\", \"", "\"}", "ab", "abc", "12", "\n ", "\\u", "\xc3\xa9", "true"}) all->push_back(w);
    return all;
  }();
  std::vector<std::string_view> pieces(words->begin(), words->end());
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (size_t i = 0; i < pieces.size(); ++i) entries.push_back({pieces[i], static_cast<int32_t>(i)});
  auto automaton = grammar::Automaton::compile(g);
  if (automaton->size() > 2000) return;  // slow under the sanitizers, and no new paths
  auto compiled = std::make_shared<const grammar::CompiledGrammar>(automaton, std::make_shared<const grammar::ByteTrie>(grammar::ByteTrie::of(std::move(entries))), pieces, 0.0);
  grammar::Matcher matcher(compiled);
  uint32_t state = 1;
  for (int i = 0; i < 12; ++i) {
    const auto& allowed = matcher.allowed();
    std::vector<size_t> may;
    for (size_t w = 0; w < pieces.size(); ++w)
      if (allowed[w / 64] >> (w % 64) & 1) may.push_back(w);
    if (may.empty()) return;
    state = state * 1664525u + 1013904223u;
    if (!matcher.accept(pieces[may[(state >> 16) % may.size()]])) std::abort();  // the mask lied
  }
}

}  // namespace ingot
