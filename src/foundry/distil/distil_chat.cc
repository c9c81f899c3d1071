#include "foundry/distil/distil_chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/sha256.h"
#include "foundry/build.h"
#include "foundry/chat/chat_build.h"
#include "foundry/chat/tuning_run.h"
#include "foundry/rails_build.h"
#include "formats/archive.h"
#include "kernels/cpu/float_kernels.h"
#include "models/word_vectors.h"
#include "train/prune.h"
#include "train/student_plan.h"
#include "train/teacher.h"
#include "train/vocabulary_trim.h"

namespace ingot {
namespace {

using nlohmann::json;
using Say = std::function<void(const std::string&)>;

constexpr int64_t kCacheTokens = 1024, kDecoded = 48;

struct Teacher {
  ChatAi ai;
  std::string hash;     // of base and adapter
  double bytes = 0;     // on disk
};

Teacher open_teacher(const std::string& name) {
  Teacher t;
  if (std::filesystem::is_regular_file(name) && looks_like_archive(name)) {
    auto archive = Archive::open(name);
    if (archive->kind() != "chat") bad_input("the teacher is of kind \"" + archive->kind() + "\"", name, "a recipe of kind chat is taught by a chat AI or a language model");
    t.ai = open_chat(archive);
    const AdapterMembers adapter = adapter_of(*archive);
    t.hash = t.ai.base->sha256 + hex(sha256(adapter.safetensors));
    t.bytes = static_cast<double>(adapter.safetensors.size());
  } else {
    t.ai.base = open_shared_base(name);
    t.ai.prompt = std::make_shared<ChatPrompt>(t.ai.base->tokenizer);
    t.hash = t.ai.base->sha256;
  }
  t.bytes += static_cast<double>(t.ai.base->bytes.size());
  return t;
}

// One answer at a time, the way a person waits for it.
double decode_speed(const std::shared_ptr<const Llama>& model, const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<int32_t>& prompt, ThreadTeam& team) {
  EngineOptions options;
  options.cache_bytes = int64_t{1} << 28;
  Engine engine(model, tokenizer, team, options);
  Generation request;
  request.prompt = prompt;
  request.limit = kDecoded;
  request.ignore_end = true;
  request.sampling.temperature = 0;
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const auto result = engine.generate(request);
    best = std::max(best, static_cast<double>(result.tokens.size() - 1) / (result.total_s - result.first_s));
  }
  return best;
}

json judged(const ChatScores& scores, const std::shared_ptr<const Llama>& model, const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<int32_t>& prompt, double bytes,
            int64_t adapter_parameters, ThreadTeam& team) {
  const LlamaConfig& c = model->config();
  json out = scores_json(scores);
  out["quality"] = scores.rouge_l;
  out["bytes"] = bytes;
  out["parameters"] = c.parameters() + adapter_parameters;
  out["tokens_per_s"] = decode_speed(model, tokenizer, prompt, team);
  out["memory"] = model->weight_bytes() + adapter_parameters * 4 + kCacheTokens * 2 * c.layers * c.groups * c.head_size * 2;
  return out;
}

std::string gguf_of(const Llama& model, const Tokenizer& tokenizer, const std::string& name, ElementType type) {
  GgufWriter out;
  out.set("general.name", GgufValue::text(name));
  model.write(out, type, type);
  tokenizer.to_gguf(out);
  return out.bytes();
}

}  // namespace

json distil_chat(const Recipe& recipe, const DistilPlan& plan, const std::filesystem::path& out, const Say& say) {
  if (plan.on != "logits" && plan.on != "text") throw Error(ErrorKind::usage, "\"" + plan.on + "\" is no way to teach", "--on", "choose logits or text");
  ThreadTeam& team = default_team();
  const StudentSize size = parse_student_size(plan.student);
  const auto encoders = encoders_of(recipe);  // what is missing here is missed before the training
  const bool remote = is_remote(plan.teacher), other = remote || (!plan.cut_from.empty() && plan.cut_from != plan.teacher);
  if (remote && plan.cut_from.empty()) throw Error(ErrorKind::usage, "a student of a teacher behind an address is cut from a model here", "--cut-from", "name one: --cut-from smollm2-135m-instruct");
  if (other && plan.on != "text") throw Error(ErrorKind::usage, "only its texts can be learnt from a teacher that the student is not cut from", "--on", "give --on text");
  std::unique_ptr<TextTeacher> speaker;
  if (remote) {
    RemoteTeacher at = plan.remote;
    at.url = plan.teacher;
    speaker = remote_teacher(at);
  }
  Teacher teacher = open_teacher(other ? plan.cut_from : plan.teacher);  // what the student is cut from
  const Tokenizer& whole = *teacher.ai.base->tokenizer;
  const LlamaConfig& large = teacher.ai.base->model->config();
  ChatSplit split = read_chat_split(recipe);
  ChatSamples train = samples_of(*teacher.ai.prompt, split.train, recipe, large.context, split.notes), test = samples_of(*teacher.ai.prompt, split.test, recipe, large.context, split.notes);
  for (const std::string& note : split.notes) say("  " + note);
  say(fmt::format("read      {} conversations to learn from ({} tokens, {} of answers), {} held out", split.train.size(), train.tokens, train.scored, split.test.size()));
  if (train.samples.empty() || test.samples.empty()) bad_input("there are too few conversations to learn from and to judge on", "data.sources", "give more, or see above why rows were not used");

  const ChatJudging judging{static_cast<size_t>(recipe.chat.judged), recipe.chat.max_tokens};
  auto first = split.test[0].messages;
  first.pop_back();
  json report = {{"kind", "chat"}, {"name", recipe.name}, {"purpose", recipe.purpose}};
  const auto judge = [&](const Teacher& one, const std::vector<Conversation>& held, const ChatSamples& samples, ChatScores& scores) {
    scores = judge_chat(one.ai.model(), *one.ai.prompt, one.ai.base->tokenizer, held, samples, judging, team);
    return judged(scores, one.ai.model(), one.ai.base->tokenizer, one.ai.prompt->tokens(first, true), one.bytes, one.ai.lora ? one.ai.lora->parameters() : 0, team);
  };
  std::string taught_by = teacher.hash;
  ChatScores teacher_scores;
  if (remote) {
    std::vector<Conversation> asked(split.test.begin(), split.test.begin() + static_cast<long>(std::min(judging.generate, split.test.size())));
    std::vector<std::string> said(asked.size());
    speaker->answer(asked, recipe.chat.max_tokens, [&](size_t i, std::string text) { said[i] = std::move(text); });
    teacher_scores = score_answers(std::move(said), split.test);
    report["teacher"] = scores_json(teacher_scores);
    report["teacher"]["quality"] = teacher_scores.rouge_l;
    taught_by = speaker->identity();
    say(fmt::format("teacher   ROUGE-L {:.3f} of {} answers", teacher_scores.rouge_l, teacher_scores.generated));
  } else {
    std::optional<Teacher> apart;
    if (other) apart = open_teacher(plan.teacher);
    const Teacher& one = apart ? *apart : teacher;
    std::vector<Conversation> held = split.test;
    std::vector<std::string> notes;
    report["teacher"] = judge(one, held, apart ? samples_of(*one.ai.prompt, held, recipe, one.ai.base->model->config().context, notes) : test, teacher_scores);
    say(fmt::format("teacher   ROUGE-L {:.3f}, perplexity {:.2f}, {:.0f} tokens/s", teacher_scores.rouge_l, teacher_scores.perplexity, report["teacher"]["tokens_per_s"].get<double>()));
    taught_by = one.hash;
    if (plan.on == "text") speaker = local_teacher(one.ai, one.hash, team);
  }

  // How large: bytes and speed are turned into parameters by what the type takes and by what decoding reads a token.
  const double each = static_cast<double>(row_bytes(plan.type, 256)) / 256;
  double parameters = size.value;
  if (size.unit == StudentSize::Unit::kBytes) parameters = size.value / each;
  if (size.unit == StudentSize::Unit::kSpeed)
    parameters = decode_speed(teacher.ai.model(), teacher.ai.base->tokenizer, teacher.ai.prompt->tokens(first, true), team) / size.value * static_cast<double>(teacher.ai.base->model->weight_bytes()) / each;
  // Of the table, the tokens that the data use, and the first 4,096, which are the commonest of any text.
  TrimmedVocabulary small;
  const bool trims = static_cast<double>(large.vocab * large.width) > 0.25 * parameters;
  if (trims) {
    std::vector<bool> used(static_cast<size_t>(whole.size()));
    for (size_t i = 0; i < std::min<size_t>(4096, used.size()); ++i) used[i] = true;
    for (const ChatSamples* all : {&train, &test})
      for (const TuningSample& s : all->samples) {
        if (all == &test) break;  // held-out words must not choose the vocabulary
        for (int32_t id : s.ids) used[static_cast<size_t>(id)] = true;
        for (int32_t id : s.targets)
          if (id >= 0) used[static_cast<size_t>(id)] = true;
      }
    small = trim_vocabulary(whole, used);
  }
  const auto tokenizer = trims ? small.tokenizer : teacher.ai.base->tokenizer;
  if (size.unit == StudentSize::Unit::kBytes) {  // the tokenizer's own bytes count
    GgufWriter alone;
    tokenizer->to_gguf(alone);
    parameters = (size.value - static_cast<double>(alone.bytes().size())) / each;
    if (parameters < 1) throw Error(ErrorKind::usage, fmt::format("the tokenizer alone takes {:.1f} MB", static_cast<double>(alone.bytes().size()) / 1e6), "--student", "ask for more");
  }
  const LlamaConfig shape = plan_student(large, trims ? tokenizer->size() : large.vocab, static_cast<int64_t>(parameters));
  report["plan"] = {{"student", plan.student}, {"parameters", shape.parameters()}, {"layers", {large.layers, shape.layers}}, {"width", {large.width, shape.width}},
                    {"heads", {large.heads, shape.heads}}, {"hidden", {large.hidden, shape.hidden}}, {"vocabulary", {large.vocab, shape.vocab}}, {"type", element_name(plan.type)}, {"on", plan.on}};
  say(fmt::format("student   {:.1f}M parameters: {} of {} layers, width {} of {}, {} of {} heads, {} of {} channels, {} of {} tokens", static_cast<double>(shape.parameters()) / 1e6, shape.layers, large.layers,
                  shape.width, large.width, shape.heads, large.heads, shape.hidden, large.hidden, shape.vocab, large.vocab));

  const auto measured = std::span(train.samples).first(std::min<size_t>(32, train.samples.size()));
  const UnitImportance importance = measure_importance(*teacher.ai.model(), measured, team);

  const auto prompt = std::make_shared<ChatPrompt>(tokenizer);
  const std::string stem = out.string();
  std::vector<std::string> dropped;
  std::vector<Conversation> own = split.train;
  if (plan.on == "text") own = taught_by_text(*speaker, own, recipe.chat.max_tokens, stem + ".answers.jsonl");
  speaker.reset();  // and its cache
  std::vector<Conversation> held = split.test;
  ChatSamples student_test = samples_of(*prompt, held, recipe, large.context, dropped);
  TuningPlan tuning;
  tuning.training.batch = recipe.chat.batch;
  tuning.training.rate = plan.rate, tuning.training.decay = 0.01, tuning.training.beta2 = 0.98, tuning.training.floor = 0.05;
  tuning.training.seed = static_cast<uint64_t>(recipe.train.seed);
  tuning.training.bf16 = cpu::bf16_kernels() != nullptr;
  tuning.micro_tokens = recipe.chat.micro_tokens;
  tuning.recompute = recipe.chat.recompute;

  auto trained = [&](const char* which, std::vector<Conversation> data, bool soft, std::string& bytes, ChatScores& scores) {
    auto model = prune(teacher.ai.lora ? *teacher.ai.lora->merged() : *teacher.ai.base->model, importance, shape, trims ? std::span<const int32_t>(small.kept) : std::span<const int32_t>());
    std::vector<std::string> notes;
    ChatSamples samples = samples_of(*prompt, data, recipe, large.context, notes);
    for (const std::string& note : notes) say(fmt::format("  {}: {}", which, note));
    TuningPlan p = tuning;
    p.training.steps = plan.steps > 0 ? plan.steps : steps_for(samples.samples.size(), recipe.chat.epochs, p.training.batch);
    p.training.warmup = std::max<int64_t>(1, p.training.steps / 20);
    if (soft) {
      p.teacher_k = plan.top_k, p.soft = static_cast<float>(plan.soft), p.temperature = static_cast<float>(plan.temperature);
      std::vector<std::vector<int32_t>> ids;  // in the teacher's vocabulary
      if (trims)
        for (const TuningSample& s : samples.samples) {
          auto& list = ids.emplace_back();
          for (int32_t id : s.ids) list.push_back(small.kept[static_cast<size_t>(id)]);
        }
      ask_teacher(*teacher.ai.model(), samples.samples, ids, {plan.top_k, trims ? std::span<const int32_t>(small.kept) : std::span<const int32_t>()}, stem + ".teacher", teacher.hash, team);
    }
    Tuner tuner(model, model->weights(), samples.samples, p, taught_by + which + plan.student, team);
    const TuningRun run = run_tuning(tuner, p.training.steps, stem + "." + which, 0, fmt::format("train {} ({:.1f}M parameters)", which, static_cast<double>(shape.parameters()) / 1e6), "distil");
    const ChatScores before = judge_chat(model, *prompt, tokenizer, held, student_test, {0, 0}, team);
    bytes = gguf_of(*model, *tokenizer, recipe.name, plan.type);
    auto file = Gguf::parse(std::as_bytes(std::span(bytes)), which);
    auto quantised = Llama::load(file);
    scores = judge_chat(quantised, *prompt, tokenizer, held, student_test, judging, team);
    json result = judged(scores, quantised, tokenizer, prompt->tokens(first, true), static_cast<double>(bytes.size()), 0, team);
    result["perplexity_f32"] = before.perplexity;  // what quantisation as the last step costs
    result["steps"] = p.training.steps;
    result["train_tokens_per_s"] = run.tokens_per_s;
    say(fmt::format("{:<9} ROUGE-L {:.3f}, perplexity {:.2f} ({:.2f} before quantisation), {:.0f} tokens/s", which, scores.rouge_l, scores.perplexity, before.perplexity,
                    result["tokens_per_s"].get<double>()));
    return result;
  };
  std::string gguf, alone_gguf;
  ChatScores taught, alone;
  report["student"] = trained("student", own, plan.on == "logits", gguf, taught);
  if (plan.alone) {
    report["student_alone"] = trained("alone", split.train, false, alone_gguf, alone);
    report["gain"] = gain_json(taught, alone);
  }
  report["notes"] = split.notes;
  report["evaluation"] = {{"records", held.size()}, {"after", report["student"]}, {"before", report["teacher"]}, {"baselines", {{"first_line", scores_json(judge_first_line(held, judging))}}}};

  std::vector<std::string> questions, asked;
  for (const Conversation& one : split.train)
    for (const ChatMessage& m : one.messages)
      if (m.role == "user") questions.push_back(m.content);
  for (const Conversation& one : held)
    for (const ChatMessage& m : one.messages)
      if (m.role == "user") asked.push_back(m.content);
  json guard;
  const Rails rails = build_rails(recipe, questions, asked, false, encoders, guard, say);
  report["guard"] = guard;
  json provenance = provenance_of(recipe, report);
  provenance.erase("base");
  provenance["teacher"] = remote ? shown_url(plan.teacher) : plan.teacher;
  if (remote) provenance["teacher_model"] = plan.remote.model, provenance["teacher_licence"] = plan.remote.licence;
  else provenance["teacher_sha256"] = taught_by;
  if (other) provenance["cut_from"] = plan.cut_from, provenance["cut_from_sha256"] = teacher.hash;
  ChatParts parts;
  parts.model_gguf = std::move(gguf);
  parts.rails = &rails;
  parts.report = report.dump(2), parts.provenance = provenance.dump(), parts.picture = distil_svg(report), parts.examples = held;
  pack_chat(recipe, parts, out);
  for (const char* state : {".student", ".alone", ".teacher", ".answers.jsonl"}) std::filesystem::remove(stem + state);
  report["file"] = out.string();
  return report;
}

void price_distilled(json& report, double price_per_hour) {
  report["price_per_hour"] = price_per_hour;
  for (const char* key : {"teacher", "student", "student_alone"})
    if (report.contains(key) && report[key].contains("tokens_per_s")) report[key]["cost_per_million_tokens"] = price_per_hour / 3600 * 1e6 / std::max(report[key]["tokens_per_s"].get<double>(), 1e-9);
}

std::string distil_table(const json& report) {
  const std::string measure = report.value("measure", "ROUGE-L");
  const double whole = report["teacher"]["quality"], price = report.value("price_per_hour", 0.0);
  const auto kept = [&](double quality) { return whole > 0 ? fmt::format("{:.0f} %", 100 * quality / whole) : std::string("-"); };
  std::string table = fmt::format("  {:<16}{:>12}{:>9}{:>7}{:>12}{:>10}{:>11}{:>11}", "", "parameters", measure, "kept", "perplexity", "MB", "tokens/s", "memory MB");
  if (price > 0) table += fmt::format("{:>15}", "cost a million");
  for (const auto& [key, name] : {std::pair{"words_alone", "words alone"}, {"teacher", "teacher"}, {"student", "student"}, {"student_alone", "without teacher"}}) {
    if (!report.contains(key)) continue;
    const json& one = report[key];
    if (!one.contains("bytes")) {  // it is elsewhere, or has no model
      table += fmt::format("\n  {:<16}{:>12}{:>9.3f}{:>7}", name, "-", one["quality"].get<double>(), kept(one["quality"]));
      continue;
    }
    table += fmt::format("\n  {:<16}{:>11.1f}M{:>9.3f}{:>7}{:>12}{:>10.1f}{:>11.0f}{:>11.0f}", name, one["parameters"].get<double>() / 1e6, one["quality"].get<double>(), kept(one["quality"]), one.contains("perplexity") ? fmt::format("{:.2f}", one["perplexity"].get<double>()) : std::string("-"),
                         one["bytes"].get<double>() / 1e6, one["tokens_per_s"].get<double>(), one["memory"].get<double>() / 1e6);
    if (price > 0) table += fmt::format("{:>15.3f}", one["cost_per_million_tokens"].get<double>());
  }
  const auto gained = [&](const json& g, const char* who) {
    table += fmt::format("\n  {} gained it {:+.3f} of {} (95 %: {:+.3f} to {:+.3f})", who, g["mean"].get<double>(), measure, g["low"].get<double>(), g["high"].get<double>());
  };
  if (report.contains("gain")) gained(report["gain"][report["kind"] == "chat" ? "rouge_l" : measure], "the teacher");
  if (report.contains("gain_over_words")) gained(report["gain_over_words"], "over the words alone, its reading");
  return table;
}

std::string distil_svg(const json& report) {
  constexpr double kLeft = 60, kTop = 20, kWide = 420, kHigh = 240;
  double most_bytes = 1, most_quality = 0.01;
  const std::pair<const char*, const char*> marks[] = {{"teacher", "#444"}, {"student", "#0a7"}, {"student_alone", "#c60"}};
  for (const auto& [key, colour] : marks)
    if (report.contains(key) && report[key].contains("bytes")) {
      most_bytes = std::max(most_bytes, report[key]["bytes"].get<double>());
      most_quality = std::max(most_quality, report[key]["quality"].get<double>());
    }
  std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 520 310\" font-family=\"sans-serif\" font-size=\"12\">\n"
                                "<title>Quality against size</title>\n<rect width=\"520\" height=\"310\" fill=\"#fff\"/>\n"
                                "<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"#888\"/>\n"
                                "<text x=\"{4}\" y=\"300\" text-anchor=\"middle\">MB on disk</text>\n"
                                "<text x=\"16\" y=\"{5}\" transform=\"rotate(-90 16 {5})\" text-anchor=\"middle\">{6}</text>\n",
                                kLeft, kTop, kTop + kHigh, kLeft + kWide, kLeft + kWide / 2, kTop + kHigh / 2, report.value("measure", "ROUGE-L"));
  for (int i = 0; i <= 4; ++i) {
    const double x = kLeft + kWide * i / 4, y = kTop + kHigh - kHigh * i / 4;
    svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\" fill=\"#555\">{:.0f}</text>\n<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\" fill=\"#555\">{:.2f}</text>\n", x, kTop + kHigh + 16,
                       most_bytes * 1.1 * i / 4 / 1e6, kLeft - 6, y + 4, most_quality * 1.1 * i / 4);
  }
  for (const auto& [key, colour] : marks) {
    if (!report.contains(key) || !report[key].contains("bytes")) continue;
    const json& one = report[key];
    const double x = kLeft + kWide * one["bytes"].get<double>() / (most_bytes * 1.1), y = kTop + kHigh - kHigh * one["quality"].get<double>() / (most_quality * 1.1);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\"/>\n<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{} ({:.1f}M)</text>\n", x, y, colour, x + (x > 300 ? -9 : 9), y - 7, x > 300 ? "end" : "start",
                       std::string(key) == "student_alone" ? "without teacher" : key, one["parameters"].get<double>() / 1e6);
  }
  return svg + "</svg>\n";
}

}  // namespace ingot
