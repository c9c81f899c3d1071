#include "foundry/chat/chat_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/sha256.h"
#include "formats/archive.h"
#include "foundry/build.h"
#include "foundry/chat/chat_data.h"
#include "foundry/chat/tuning_run.h"
#include "foundry/rails_build.h"
#include "kernels/cpu/float_kernels.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

using nlohmann::json;

std::string key_of(const Conversation& one) {
  std::string key;
  for (const ChatMessage& message : one.messages) key += message.role + "\x1f" + message.content + "\x1e";
  return key;
}

std::vector<Conversation> read_all(const std::vector<std::string>& sources, const Recipe& recipe, ChatSplit& split) {
  ChatData all;
  for (const std::string& source : sources) {
    ChatData data = read_chat(source, recipe.data.map, recipe.chat.system);
    std::move(data.conversations.begin(), data.conversations.end(), std::back_inserter(all.conversations));
    for (const auto& [reason, count] : data.skipped) all.skipped[reason] += count;
    std::move(data.notes.begin(), data.notes.end(), std::back_inserter(all.notes));
  }
  drop_repeated(all);
  for (const auto& [reason, count] : all.skipped) split.skipped += count;
  std::move(all.notes.begin(), all.notes.end(), std::back_inserter(split.notes));
  return std::move(all.conversations);
}

std::vector<std::string> questions_of(const std::vector<Conversation>& conversations) {
  std::vector<std::string> texts;
  for (const Conversation& one : conversations)
    for (const ChatMessage& message : one.messages)
      if (message.role == "user") texts.push_back(message.content);
  return texts;
}

// The rails judge what is asked; the base plays no part in them.
Rails rails_of(const Recipe& recipe, const ChatSplit& split, const std::vector<std::shared_ptr<const TextEncoder>>& encoders, json& guard, const std::function<void(const std::string&)>& say) {
  return build_rails(recipe, questions_of(split.train), questions_of(split.test), false, encoders, guard, say);
}

void check_chat_gate(const Recipe& recipe, const ChatScores& before, const ChatScores& after) {
  if (after.rouge_l < recipe.gate.rouge_l)
    throw Error(ErrorKind::gate, fmt::format("the gate is not met: ROUGE-L reached {:.3f}, {:.3f} is asked, {:.3f} short", after.rouge_l, recipe.gate.rouge_l, recipe.gate.rouge_l - after.rouge_l),
                "gate.rouge_l", "nothing was packed; give more conversations, train longer, or lower the gate in the recipe");
  if (!recipe.gate.beat_base) return;
  if (!(after.perplexity < before.perplexity))
    throw Error(ErrorKind::gate, fmt::format("the gate is not met: the held-out answers' perplexity went from {:.3f} to {:.3f}", before.perplexity, after.perplexity), "gate.beat_base",
                "nothing was packed; lower train.rate, give more conversations, or train.epochs fewer");
}

}  // namespace

ChatSplit read_chat_split(const Recipe& recipe) {
  if (recipe.data.sources.empty()) throw Error(ErrorKind::recipe, "the recipe names no source", "data.sources", "add one, or give --source jsonl:FILE or csv:FILE");
  ChatSplit split;
  split.train = read_all(recipe.data.sources, recipe, split);
  const bool timed = !split.train.empty() && std::all_of(split.train.begin(), split.train.end(), [](const Conversation& one) { return one.time > 0; });
  Random random(static_cast<uint64_t>(recipe.train.seed));
  if (timed) std::stable_sort(split.train.begin(), split.train.end(), [](const Conversation& a, const Conversation& b) { return a.time < b.time; });
  else random.shuffle(split.train);
  const auto most = static_cast<size_t>(recipe.data.max_records);
  if (split.train.size() > most) {
    split.notes.push_back(fmt::format("{} conversations not used: data.max_records is {}", split.train.size() - most, most));
    split.skipped += split.train.size() - most;
    split.train.erase(split.train.begin(), split.train.end() - static_cast<long>(most));
  }
  if (!recipe.data.test.empty()) {
    split.test = read_all(recipe.data.test, recipe, split);
  } else {
    const auto held = static_cast<size_t>(static_cast<double>(split.train.size()) * recipe.data.holdout);
    split.test.assign(split.train.end() - static_cast<long>(held), split.train.end());
    split.train.resize(split.train.size() - held);
  }
  std::unordered_set<std::string> seen;
  for (const Conversation& one : split.test) seen.insert(key_of(one));
  if (const size_t both = std::erase_if(split.train, [&](const Conversation& one) { return seen.contains(key_of(one)); })) {
    split.notes.push_back(fmt::format("{} training conversations not used: they are in the test too", both));
    split.skipped += both;
  }
  random.shuffle(split.test);  // the first are answered: any of them, not the oldest
  return split;
}

ChatSamples samples_of(const ChatPrompt& prompt, std::vector<Conversation>& conversations, const Recipe& recipe, int64_t context, std::vector<std::string>& notes) {
  const int64_t longest = std::min(recipe.chat.longest, context);
  const TooLong too_long = recipe.chat.too_long == "window" ? TooLong::kWindow : TooLong::kRefuse;
  ChatSamples samples = chat_samples(prompt, conversations, longest, too_long);
  for (const auto& [reason, which] : samples.refused) notes.push_back(refusal_line(reason, which, conversations));
  if (samples.windowed) notes.push_back(fmt::format("{} conversations of more than {} tokens were cut into {} windows", samples.windowed, longest, samples.windows));
  if (!samples.refused.empty()) {
    std::vector<Conversation> kept;
    std::vector<size_t> to(conversations.size());
    std::unordered_set<size_t> out;
    for (const auto& [reason, which] : samples.refused) out.insert(which.begin(), which.end());
    for (size_t i = 0; i < conversations.size(); ++i) {
      to[i] = kept.size();
      if (!out.contains(i)) kept.push_back(std::move(conversations[i]));
    }
    conversations = std::move(kept);
    for (size_t& one : samples.conversation) one = to[one];
  }
  return samples;
}

LoraPlan adapter_shape(const Recipe& recipe) {
  LoraPlan shape;
  shape.rank = recipe.chat.rank;
  shape.alpha = recipe.chat.alpha;
  shape.seed = static_cast<uint64_t>(recipe.train.seed);
  return shape;
}

TuningPlan adapter_plan(const Recipe& recipe, size_t samples) {
  TuningPlan plan;
  plan.training.batch = recipe.chat.batch;
  plan.training.rate = recipe.chat.rate;
  plan.training.decay = 0, plan.training.beta2 = 0.999, plan.training.floor = 0;
  plan.training.seed = static_cast<uint64_t>(recipe.train.seed);
  plan.training.steps = steps_for(samples, recipe.chat.epochs, plan.training.batch);
  if (recipe.chat.max_steps > 0) plan.training.steps = std::min(plan.training.steps, recipe.chat.max_steps);
  plan.training.warmup = std::max<int64_t>(1, plan.training.steps / 20);
  plan.training.bf16 = cpu::bf16_kernels() != nullptr;
  plan.micro_tokens = recipe.chat.micro_tokens;
  plan.recompute = recipe.chat.recompute;
  return plan;
}

void pack_chat(const Recipe& recipe, const ChatParts& parts, const std::filesystem::path& out) {
  ArchiveWriter writer;
  writer.describe("chat", recipe.name, parts.provenance);
  writer.add("recipe.toml", recipe.text);
  writer.add("report.json", parts.report);
  writer.add("chat.json", json{{"system", recipe.chat.system}, {"max_tokens", recipe.chat.max_tokens}}.dump(2) + "\n");
  if (!parts.model_gguf.empty()) writer.add("model.gguf", parts.model_gguf);
  else if (recipe.pack_full) writer.add_view("model.gguf", parts.base->bytes);
  else writer.add("base.json", base_reference(*parts.base));
  if (parts.lora) {
    writer.add("adapter/adapter_config.json", parts.lora->config_json(parts.base->name));
    writer.add("adapter/adapter_model.safetensors", parts.lora->safetensors(ElementType::kF16));
  }
  if (!parts.picture.empty()) writer.add("distillation.svg", parts.picture);
  if (parts.rails) {
    writer.add("guard.bin", parts.rails->save());
    for (size_t s = 0; parts.rails->topic() && s < parts.rails->topic()->spaces(); ++s)
      if (const auto* words = dynamic_cast<const WordVectors*>(parts.rails->topic()->encoder(s).get())) writer.add("words.bin", words->bytes());
  }
  std::string examples;
  for (size_t i = 0; i < std::min<size_t>(3, parts.examples.size()); ++i) {
    json messages = json::array();
    for (const ChatMessage& message : parts.examples[i].messages) messages.push_back({{"role", message.role}, {"content", message.content}});
    const json right = messages.back()["content"];
    messages.erase(messages.size() - 1);
    examples += json{{"model", recipe.name}, {"messages", messages}, {"right", right}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  writer.add("examples.jsonl", examples);
  writer.write(out);
}

json build_chat(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  if (recipe.base == "none") throw Error(ErrorKind::recipe, "a chat AI needs a language model", "base", "write base = \"smollm2-135m-instruct\", or the path of a .gguf file");
  const auto rail_encoders = encoders_of(recipe);
  const auto base = open_shared_base(recipe.base);
  const auto prompt = std::make_shared<ChatPrompt>(base->tokenizer);
  ChatSplit split = read_chat_split(recipe);
  const int64_t context = base->model->config().context;
  const ChatSamples train = samples_of(*prompt, split.train, recipe, context, split.notes), test = samples_of(*prompt, split.test, recipe, context, split.notes);
  for (const std::string& note : split.notes) say("  " + note);
  say(fmt::format("read      {} conversations to learn from ({} tokens, {} of answers), {} held out", split.train.size(), train.tokens, train.scored, split.test.size()));
  if (train.samples.empty() || test.samples.empty()) bad_input("there are too few conversations to learn from and to judge on", "data.sources", "give more, or see above why rows were not used");

  ThreadTeam& team = default_team();
  const ChatJudging judging{static_cast<size_t>(recipe.chat.judged), recipe.chat.max_tokens};
  const ChatScores before = judge_chat(base->model, *prompt, base->tokenizer, split.test, test, judging, team);
  say(fmt::format("before    perplexity {:.2f} of {} answer tokens, ROUGE-L {:.3f} of {} answers", before.perplexity, before.tokens, before.rouge_l, before.generated));

  auto lora = Lora::create(*base->model, adapter_shape(recipe));
  const TuningPlan plan = adapter_plan(recipe, train.samples.size());
  Tuner tuner(lora->model(), lora->weights(), train.samples, plan, base->sha256 + lora->config_json(base->name), team);
  const std::filesystem::path state = out.string() + ".training";
  const TuningRun run = run_tuning(tuner, plan.training.steps, state, 0, fmt::format("train {} parameters", lora->parameters()), "build");
  lora->round_to_f16();  // what is judged is what is packed
  if (run.resumed_at) say(fmt::format("resumed   at step {} of {}", run.resumed_at, plan.training.steps));
  say(fmt::format("trained   {} steps over {} samples in {:.0f} s ({:.0f} tokens/s)", plan.training.steps - run.resumed_at, train.samples.size(), run.seconds, run.tokens_per_s));

  const ChatScores after = judge_chat(lora->model(), *prompt, base->tokenizer, split.test, test, judging, team), plain = judge_first_line(split.test, judging);
  const json evaluation = {{"records", split.test.size()}, {"before", scores_json(before)}, {"after", scores_json(after)}, {"gain", gain_json(after, before)},
                           {"baselines", {{"first_line", scores_json(plain)}}}};
  say("evaluated on " + std::to_string(split.test.size()) + " conversations it never saw:\n" + chat_table(evaluation));
  check_chat_gate(recipe, before, after);
  say("gate      met");
  json guard;
  const Rails rails = rails_of(recipe, split, rail_encoders, guard, say);
  json report = {{"kind", recipe.kind}, {"name", recipe.name}, {"purpose", recipe.purpose}, {"evaluation", evaluation}, {"guard", guard}, {"notes", split.notes},
                 {"base", {{"name", base->name}, {"sha256", base->sha256}, {"bytes", base->bytes.size()}, {"packed", recipe.pack_full}}},
                 {"train", {{"conversations", split.train.size()}, {"tokens", train.tokens}, {"answer_tokens", train.scored}, {"steps", plan.training.steps}, {"parameters", lora->parameters()},
                            {"last_loss", run.last_loss}, {"seconds", run.seconds}, {"tokens_per_s", run.tokens_per_s}}}};
  json provenance = provenance_of(recipe, report);
  provenance["base_sha256"] = base->sha256;
  ChatParts parts{base.get(), lora.get(), "", &rails, report.dump(2), provenance.dump(), "", split.test};
  pack_chat(recipe, parts, out);
  std::filesystem::remove(state);
  report["file"] = out.string();
  report["bytes"] = std::filesystem::file_size(out);
  report["seconds"] = seconds();
  json said = json::array();
  for (size_t i = 0; i < std::min<size_t>(5, after.said.size()); ++i)
    said.push_back({{"before", before.said[i]}, {"after", after.said[i]}, {"right", split.test[i].messages.back().content}});
  report["examples"] = said;
  say(fmt::format("packed    {} ({:.1f} MB{}) after {:.1f} s", out.string(), report["bytes"].get<double>() / 1e6, recipe.pack_full ? "" : ", the base by reference", seconds()));
  return report;
}

json evaluate_chat(const ChatAi& ai, std::vector<Conversation> conversations, const ChatJudging& judging, ThreadTeam& team) {
  for (Conversation& one : conversations) one.messages = ai.with_system(std::move(one.messages));
  Recipe as_built;
  std::vector<std::string> notes;
  const ChatSamples samples = samples_of(*ai.prompt, conversations, as_built, ai.base->model->config().context, notes);
  if (conversations.empty()) bad_input("no conversation can be judged", "--data", notes.empty() ? "give some" : notes[0]);
  const ChatScores scores = judge_chat(ai.model(), *ai.prompt, ai.base->tokenizer, conversations, samples, judging, team);
  json out = {{"records", conversations.size()}, {"after", scores_json(scores)}, {"notes", notes}, {"baselines", {{"first_line", scores_json(judge_first_line(conversations, judging))}}}};
  if (ai.lora) out["before"] = scores_json(judge_chat(ai.base->model, *ai.prompt, ai.base->tokenizer, conversations, samples, judging, team));
  return out;
}

std::string chat_table(const json& e) {
  std::string table = fmt::format("  {:<26}{:>12}{:>10}{:>10}{:>10}{:>10}", "", "perplexity", "exact", "ROUGE-L", "token F1", "cut off");
  auto line = [&](const char* name, const json& s) {
    auto number = [&](const char* key, double by, const char* unit) { return s.contains(key) ? fmt::format("{:.{}f}{}", by * s[key].get<double>(), by == 1 ? 3 : 1, unit) : std::string("-"); };
    table += fmt::format("\n  {:<26}{:>12}{:>10}{:>10}{:>10}{:>10}", name, number("perplexity", 1, ""), number("exact_match", 100, " %"), number("rouge_l", 1, ""), number("token_f1", 1, ""),
                         number("cut_off", 100, " %"));
  };
  line("this AI", e["after"]);
  if (e.contains("before")) line("the base as it is", e["before"]);
  line("the question's first line", e["baselines"]["first_line"]);
  if (e.contains("gain")) {
    const json& g = e["gain"]["rouge_l"];
    table += fmt::format("\n  gained {:+.3f} of ROUGE-L over the base (95 %: {:+.3f} to {:+.3f})", g["mean"].get<double>(), g["low"].get<double>(), g["high"].get<double>());
  }
  return table;
}

}  // namespace ingot
