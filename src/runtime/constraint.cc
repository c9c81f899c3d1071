#include "runtime/constraint.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/grammar/matcher.h"

namespace ingot {

namespace {

constexpr double kAhead = 0.1;  // seconds that masks are computed ahead for when a grammar is first used

grammar::Grammar parse(const ConstraintSpec& spec) {
  using Kind = ConstraintSpec::Kind;
  if (spec.source.size() > (1 << 20)) bad_input("it has " + std::to_string(spec.source.size()) + " bytes, 1 MiB is the limit", "constraint", "use a smaller one");
  switch (spec.kind) {
    case Kind::kJsonSchema: return grammar::parse_json_schema(spec.source);
    case Kind::kJsonObject: return grammar::json_object_grammar();
    case Kind::kGrammar: return grammar::parse_gbnf(spec.source);
    case Kind::kRegex: return grammar::parse_regex(spec.source);
    case Kind::kChoice: break;
  }
  std::vector<grammar::ExprPtr> parts;
  for (const std::string& choice : spec.choices) {
    if (choice.empty()) bad_input("a choice is empty", "choices", "give it a text");
    parts.push_back(grammar::text(choice));
  }
  if (parts.empty()) bad_input("there is nothing to choose from", "choices", "give at least one");
  grammar::Grammar g;
  g.root = g.add("root", grammar::choice(std::move(parts)));
  return g;
}

class GrammarConstraint : public TokenConstraint {
 public:
  explicit GrammarConstraint(grammar::Matcher matcher) : matcher_(std::move(matcher)) {}

  void mask(std::span<float> logits) override {
    const auto& allowed = matcher_.allowed();
    for (size_t first = 0, w = 0; first < logits.size(); first += 64, ++w) {
      const uint64_t bits = w < allowed.size() ? allowed[w] : 0;
      if (bits == ~uint64_t{0}) continue;
      const size_t count = std::min<size_t>(64, logits.size() - first);
      if (bits == 0) {  // most words of most masks
        std::fill_n(logits.data() + first, count, -INFINITY);
        continue;
      }
      for (size_t i = 0; i < count; ++i)
        if (!(bits >> i & 1)) logits[first + i] = -INFINITY;
    }
  }
  void accept(int32_t token) override {
    if (token < 0 || static_cast<size_t>(token) >= matcher_.grammar().size() || !matcher_.accept(matcher_.grammar().piece(token)))
      throw Error(ErrorKind::internal, "token " + std::to_string(token) + " leaves the grammar", "constraint", "report this with the grammar");
  }
  bool may_end() const override { return matcher_.may_end(); }
  std::shared_ptr<TokenConstraint> fork() const override { return std::make_shared<GrammarConstraint>(matcher_); }

 private:
  grammar::Matcher matcher_;
};

}  // namespace

struct ConstraintFactory::Vocabulary {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<std::string_view> pieces;  // by id; empty for special tokens, which no text can spell
  std::shared_ptr<const grammar::ByteTrie> trie;
};

struct ConstraintFactory::Kept {
  ConstraintSpec spec;
  std::shared_ptr<const grammar::CompiledGrammar> grammar;
};

ConstraintFactory::ConstraintFactory(std::shared_ptr<const Tokenizer> tokenizer, size_t kept) : most_(kept) {
  auto v = std::make_shared<Vocabulary>();
  v->tokenizer = std::move(tokenizer);
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (int32_t id = 0; id < v->tokenizer->size(); ++id) {
    v->pieces.push_back(v->tokenizer->is_special(id) ? std::string_view() : v->tokenizer->piece(id));
    entries.push_back({v->pieces.back(), id});
  }
  v->trie = std::make_shared<const grammar::ByteTrie>(grammar::ByteTrie::of(std::move(entries)));
  vocabulary_ = std::move(v);
}

ConstraintFactory::~ConstraintFactory() = default;

std::shared_ptr<TokenConstraint> ConstraintFactory::make(const ConstraintSpec& spec) {
  auto same = [&](const Kept& k) { return k.spec.kind == spec.kind && k.spec.source == spec.source && k.spec.choices == spec.choices; };
  {
    std::lock_guard lock(mutex_);
    for (auto it = kept_.begin(); it != kept_.end(); ++it)
      if (same(*it)) {
        kept_.splice(kept_.begin(), kept_, it);
        return std::make_shared<GrammarConstraint>(grammar::Matcher(it->grammar));
      }
  }
  auto compiled = std::make_shared<const grammar::CompiledGrammar>(grammar::Automaton::compile(parse(spec)), vocabulary_->trie, vocabulary_->pieces, kAhead);
  // The pieces point into the tokenizer: whoever holds the grammar holds it too.
  std::shared_ptr<const grammar::CompiledGrammar> held(compiled.get(), [compiled, v = vocabulary_](auto*) {});
  std::lock_guard lock(mutex_);
  kept_.push_front({spec, held});
  if (kept_.size() > most_) kept_.pop_back();
  return std::make_shared<GrammarConstraint>(grammar::Matcher(held));
}

std::shared_ptr<TokenConstraint> make_constraint(const ConstraintSpec& spec, std::shared_ptr<const Tokenizer> tokenizer) {
  return ConstraintFactory(std::move(tokenizer), 1).make(spec);
}

}  // namespace ingot
