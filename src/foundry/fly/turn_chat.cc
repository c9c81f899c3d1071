#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "core/progress.h"
#include "core/random.h"
#include "formats/archive.h"
#include "foundry/build.h"
#include "foundry/chat/chat_build.h"
#include "foundry/chat/tuning_run.h"
#include "foundry/fly/fly_kind.h"
#include "foundry/fly/turn.h"
#include "foundry/fly/turn_report.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kFewestOld = 64;      // old conversations that are gone over again, however few the corrections are
constexpr size_t kMostAnswered = 200;  // of corrections and of fixed cases: each costs a generated answer

std::string last_question(const Conversation& one) {
  for (size_t i = one.messages.size(); i-- > 0;)
    if (one.messages[i].role == "user") return one.messages[i].content;
  return "";
}

// A correction is one question and the answer that it should have had.
std::vector<Conversation> conversations_of(const ChatAi& ai, const std::vector<Correction>& corrections, const std::vector<size_t>& which) {
  std::vector<Conversation> out;
  for (size_t i : which) {
    Conversation one;
    one.messages = ai.with_system({{"user", corrections[i].text}, {"assistant", corrections[i].name}});
    one.file = "feedback " + corrections[i].receipt;
    one.time = corrections[i].arrived;
    out.push_back(std::move(one));
  }
  return out;
}

struct ChatSet {
  std::vector<Conversation> conversations;
  ChatSamples samples;
};

// The mean probability (geometric) of each answer's tokens.
std::vector<double> token_probabilities(const ChatScores& scores) {
  std::vector<double> out;
  for (double nats : scores.nats) out.push_back(std::exp(-nats));
  return out;
}

double mean_of(const std::vector<double>& values) { return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()); }

// An answer is right that says what the case says, whatever stands around it.
std::vector<bool> right_of(const ChatScores& scores, const std::vector<FixedCase>& cases) {
  std::vector<bool> right;
  for (size_t i = 0; i < cases.size(); ++i) right.push_back(i < scores.said.size() && scores.said[i].find(cases[i].name) != std::string::npos);
  return right;
}

}  // namespace

json turn_chat(const Ai& champion, TurnInput& input, const std::filesystem::path& out) {
  TurnReport made(champion);
  json& report = made.body;
  Recipe recipe = recipe_as_built(champion);
  const Recipe::Fly& rules = recipe.fly;
  recipe.pack_full = champion.archive().has("model.gguf");
  const ChatAi& ai = champion.chat();
  const AdapterMembers adapter = adapter_of(champion.archive());
  if (!ai.lora) bad_input("this chat AI has a model of its own and no adapter: the flywheel does not turn it", champion.archive().path().string(), "distil it again with what feedback holds");

  ChatSplit split = read_chat_split(recipe);
  const int64_t context = ai.base->model->config().context;
  ChatSet held{std::move(split.test), {}};
  held.samples = samples_of(*ai.prompt, held.conversations, recipe, context, split.notes);

  CurateOptions options = input.curate;
  options.fewest_words = 1, options.fewest_bytes = 3;
  Curator curator(options, Sureness());
  for (const Conversation& one : held.conversations) curator.keep_out(last_question(one));
  for (const FixedCase& one : input.cases) curator.keep_out(one.text);
  const Curated curated = curator.curate(input.corrections, [&](const Correction& c) {
    Opinion opinion;
    opinion.confidence = 0;  // it ranks nothing: no text contradicts it
    opinion.stopped = !champion.rails().check(c.text).allowed || !champion.rails().check_output(c.name, c.text).allowed;
    return opinion;
  });
  made.curated(curated, input.corrections);
  if (curated.kept.empty() && !input.rebuild) return made.close("nothing is promoted: there is no better text to learn from");
  if (!input.rebuild && input.corrections[curated.kept.back()].id <= input.champion_seen)
    return made.close("nothing is promoted: there is no better text that the champion has not seen");

  size_t unseen = 0;
  for (size_t i : curated.kept) unseen += input.corrections[i].id > input.champion_seen;
  const size_t latest = latest_of(unseen);
  if (held.conversations.size() + latest < static_cast<size_t>(rules.fewest))
    return made.close(fmt::format("nothing is promoted: {} held-out conversations and {} latest corrections are too few to judge by, at least {} are needed", held.conversations.size(), latest, rules.fewest));
  // What judges this turn is learnt from in the next one: another training for it would double the cost.
  const std::vector<size_t> learnt(curated.kept.begin(), curated.kept.end() - static_cast<long>(latest)), window_ids(curated.kept.end() - static_cast<long>(latest), curated.kept.end());
  ChatSet told{conversations_of(ai, input.corrections, learnt), {}}, window{conversations_of(ai, input.corrections, window_ids), {}};
  for (size_t i : learnt) input.learnt.push_back(input.corrections[i].id);
  for (ChatSet* set : {&told, &window}) set->samples = samples_of(*ai.prompt, set->conversations, recipe, context, split.notes);

  ChatSet material{told.conversations, {}};
  Random random(static_cast<uint64_t>(recipe.train.seed) + static_cast<uint64_t>(input.champion_seen));
  random.shuffle(split.train);
  const size_t old = std::min(split.train.size(), input.rebuild ? split.train.size() : std::max(kFewestOld, told.conversations.size()));
  material.conversations.insert(material.conversations.end(), split.train.begin(), split.train.begin() + static_cast<long>(old));
  material.samples = samples_of(*ai.prompt, material.conversations, recipe, context, split.notes);
  if (material.samples.samples.empty()) return made.close("nothing is promoted: nothing that was kept makes a sample to learn from");

  ThreadTeam& team = default_team();
  std::shared_ptr<Lora> lora;
  if (input.rebuild) {  // from the base: what is forgotten is in the champion's adapter
    lora = Lora::create(*ai.base->model, adapter_shape(recipe));
  } else {
    lora = Lora::read(*ai.base->model, adapter.config_json, adapter.safetensors, champion.archive().path().string() + ": adapter");
  }
  const TuningPlan plan = adapter_plan(recipe, material.samples.samples.size());
  const std::filesystem::path state = out.string() + ".training";
  const auto train = [&] {
    Tuner tuner(lora->model(), lora->weights(), material.samples.samples, plan, ai.base->sha256 + champion.hash() + (input.rebuild ? " anew" : ""), team);
    return run_tuning(tuner, plan.training.steps, state, 0, "learn on", "fly run");
  };
  TuningRun run;
  try {
    run = train();
  } catch (const Error& error) {
    if (error.kind != ErrorKind::input || !std::filesystem::exists(state)) throw;
    std::filesystem::remove(state);  // of a turn that was ended before more feedback came in
    run = train();
  }
  lora->round_to_f16();

  const ChatJudging judging{static_cast<size_t>(recipe.chat.judged), recipe.chat.max_tokens}, all{kMostAnswered, recipe.chat.max_tokens};
  const auto ask = [&](const std::shared_ptr<const Llama>& model, const ChatSet& set, const ChatJudging& how) {
    return judge_chat(model, *ai.prompt, ai.base->tokenizer, set.conversations, set.samples, how, team);
  };
  Judge judge(rules.may_lose, static_cast<uint64_t>(recipe.train.seed));
  const auto both = [&](const char* name, const ChatSet& set, const ChatJudging& how, double may_forget) {
    std::pair<ChatScores, ChatScores> scores{ask(ai.model(), set, how), ask(lora->model(), set, how)};
    if (*name) {
      judge.paired(name, "token probability", token_probabilities(scores.second), token_probabilities(scores.first), may_forget);
      judge.paired(name, "ROUGE-L", scores.second.rouge, scores.first.rouge, may_forget);
    }
    return scores;
  };
  if (latest) both("latest corrections", window, all, 0);
  // As of models that rank: enough of the latest, and none lost, and the older ones guard against forgetting alone.
  const auto on_held = both("held-out", held, judging, latest >= static_cast<size_t>(rules.fewest) && judge.losses().empty() ? rules.may_forget : 0);
  const auto on_told = both("", told, all, 0);
  if (!input.cases.empty()) {
    ChatSet cases;
    for (const FixedCase& one : input.cases) {
      Conversation asked;
      asked.messages = ai.with_system({{"user", one.text}, {"assistant", one.name}});
      cases.conversations.push_back(std::move(asked));
    }
    const auto answers = both("", cases, {input.cases.size(), recipe.chat.max_tokens}, 0);
    judge.fixed(input.cases, right_of(answers.first, input.cases), right_of(answers.second, input.cases));
  }
  if (on_held.first.tokens_per_s > 0 && on_held.second.tokens_per_s > 0) judge.speed(1000 / on_held.first.tokens_per_s, 1000 / on_held.second.tokens_per_s);

  const Comparison* on_window = nullptr;
  const Comparison* on_older = nullptr;
  for (const Comparison& one : judge.comparisons())
    if (one.measure == "token probability") (one.set == "held-out" ? on_older : on_window) = &one;
  const double told_before = mean_of(token_probabilities(on_told.first)), told_after = mean_of(token_probabilities(on_told.second));
  bool won = told_after > told_before || (on_older && on_older->low > 0);
  if (on_window) won = on_window->mean >= rules.must_gain;
  won = won || input.rebuild;
  report["champion"].update({{"corrections_right", told_before}, {"top1", on_held.first.rouge_l}});
  report["challenger"] = {{"corrections_right", told_after}, {"top1", on_held.second.rouge_l}};
  report["held_out"] = held.conversations.size();
  report["latest"] = latest;
  report["train"] = {{"corrections", told.conversations.size()}, {"old_conversations", old}, {"steps", plan.training.steps}, {"resumed_at", run.resumed_at}, {"tokens_per_s", run.tokens_per_s}};

  std::string figures;
  for (const Comparison& one : judge.comparisons())
    figures += fmt::format("{}on {} {} {} {:+.2f} points (95 %: {:+.2f} to {:+.2f})", figures.empty() ? "" : ", ", one.records, one.set == "held-out" ? "held-out conversations" : one.set, one.measure, 100 * one.mean,
                           100 * one.low, 100 * one.high);
  figures += fmt::format(", of {} corrections token probability {:.1f} % instead of {:.1f} %", told.conversations.size(), 100 * told_after, 100 * told_before);
  const auto refused = [&] {
    std::string lost;
    for (const std::string& one : judge.losses()) lost += (lost.empty() ? "; it loses on " : "; on ") + one;
    if (!won) lost += on_window ? "; it does not win on what came last" : "; it says what people corrected no more readily";
    report["judge"] = judge.report();
    std::filesystem::remove(state);
    return made.close("refused: " + figures + lost);
  };
  report["judge"] = judge.report();
  if (!won || !judge.losses().empty()) return refused();
  json whole = json::parse(champion.archive().text("report.json"));
  whole["turn"] = made.packed("promoted: " + figures);
  whole["evaluation"]["after"] = scores_json(on_held.second);
  whole["evaluation"].erase("gain");  // over the base: it was not asked again
  json provenance = provenance_of(recipe, whole);
  provenance["base_sha256"] = ai.base->sha256;
  pack_chat(recipe, {ai.base.get(), lora.get(), "", &champion.rails(), whole.dump(2), provenance.dump(), "", held.conversations}, out);
  judge.size(std::filesystem::file_size(champion.archive().path()) - champion.archive().prefix().size(), std::filesystem::file_size(out));
  if (!judge.losses().empty()) {
    std::filesystem::remove(out);
    return refused();
  }
  std::filesystem::remove(state);
  report["judge"] = judge.report();
  report["promoted"] = true;
  return made.close("promoted: " + figures);
}

}  // namespace ingot
