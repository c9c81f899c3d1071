#include "foundry/distil/distil_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "formats/gguf.h"
#include "foundry/base.h"
#include "foundry/build.h"
#include "foundry/cached_encoder.h"
#include "foundry/chat/shared_base.h"
#include "foundry/chat/tuning_run.h"
#include "foundry/classify/classify_build.h"
#include "foundry/triage/evaluation.h"
#include "foundry/triage/paired_bootstrap.h"
#include "foundry/triage/triage_model.h"
#include "kernels/cpu/float_kernels.h"
#include "models/joined_encoder.h"
#include "models/llama/llama_encoder.h"
#include "models/word_vectors.h"
#include "train/prune.h"
#include "train/student_plan.h"
#include "train/vocabulary_trim.h"

namespace ingot {
namespace {

using nlohmann::json;
using Encoder = std::shared_ptr<const TextEncoder>;

constexpr int64_t kKeptBack = 8;  // one in so many of a classifier's texts
constexpr size_t kTeacherFolds = 4, kLongest = 256;  // tokens of a text that training reads; the AI reads texts in windows

struct LabelledTexts {
  std::vector<std::string> texts, labels;
};

struct Judged {
  json evaluation;           // with "quality"
  std::vector<double> hits;  // of each held-out record
  double bytes = 0;          // of the AI beside its trunk
};

// What the student learns, and the AI that is made over a trunk.
struct LabelTask {
  LabelledTexts learn;                         // without what is kept from the student
  std::vector<Record> test;
  int64_t kept_back = 0;                       // as kKeptBackKey says
  std::function<Judged(const Encoder& trunk)> judge;  // trunk null: the AI without one
  std::function<json(const Recipe& recipe)> build;
};

LabelTask classifier_task(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  auto data = std::make_shared<Labelled>(read_labelled(recipe));
  for (const std::string& note : data->notes) say("  " + note);
  LabelTask task;
  for (const Record& record : data->train)
    if (!kept_back(record.text, kKeptBack)) task.learn.texts.push_back(record.text), task.learn.labels.push_back(record.label);
  task.test = data->test;
  task.kept_back = kKeptBack;
  say(fmt::format("read      {} records to learn from, of which the student sees {}; {} held out", data->train.size(), task.learn.texts.size(), task.test.size()));
  task.judge = [data, words = WordVectors::shipped(), seed = static_cast<uint64_t>(recipe.train.seed)](const Encoder& trunk) {
    const Encoder encoder = trunk ? join_encoders({words, trunk}) : words;
    const TextClassifier classifier = TextClassifier::train(texts_of(data->train), labels_of(data->train), encoder, seed);
    if (trunk) trunk->encode(texts_of(data->test));  // many at a time, so that judging finds them in the cache
    Judged judged{evaluate_classifier(classifier, data->test, 0), hits_of(classifier, data->test), static_cast<double>(classifier.save().size() + words->bytes().size())};
    judged.evaluation["quality"] = judged.evaluation["accuracy"];
    return judged;
  };
  task.build = [out, say](const Recipe& packed) { return build_classify(packed, out, say); };
  return task;
}

LabelTask triage_task(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  auto data = std::make_shared<SplitData>(read_and_split(recipe));
  for (const std::string& note : data->notes) say("  " + note);
  LabelTask task;
  const size_t held = std::min(data->train.size(), TriageModel::weighed_on(data->train.size()));
  for (const Record& record : std::span(data->train).first(data->train.size() - held)) task.learn.texts.push_back(TriageModel::beginning(record.text)), task.learn.labels.push_back(record.engineer);
  task.test = data->test;
  say(fmt::format("read      {} records to learn from, of which the student sees the {} oldest; {} later ones to be judged on", data->train.size(), task.learn.texts.size(), task.test.size()));
  task.judge = [data, options = triage_options(recipe, nullptr)](const Encoder& trunk) {
    TriageOptions with = options;
    with.encoder = trunk;
    const TriageModel model = TriageModel::train(data->train, with);
    Judged judged{evaluate_triage(model, data->test, 0), {}, static_cast<double>(model.save().size())};
    judged.evaluation["quality"] = judged.evaluation["engineer"]["top1"];
    judged.evaluation["signals"] = signals_of(model);
    const auto scores = model.score(texts_of(data->test));
    for (size_t i = 0; i < scores.size(); ++i) {
      const auto& p = scores[i].engineer;
      judged.hits.push_back(model.engineers()[static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin())] == data->test[i].engineer);
    }
    return judged;
  };
  task.build = [out, say](const Recipe& packed) { return build(packed, out, say); };
  return task;
}

// log p of every label (sorted names) for each text, by a classifier that learnt from the other folds.
std::vector<std::vector<float>> opinions(const LabelledTexts& data, const std::vector<std::string>& names, const Encoder& encoder, uint64_t seed) {
  std::vector<std::vector<float>> out(data.texts.size(), std::vector<float>(names.size(), std::log(1e-4f)));
  std::vector<size_t> fold(data.texts.size());
  Random random(seed);
  for (size_t& one : fold) one = random.below(kTeacherFolds);
  for (size_t f = 0; f < kTeacherFolds; ++f) {
    LabelledTexts others;
    for (size_t i = 0; i < fold.size(); ++i)
      if (fold[i] != f) others.texts.push_back(data.texts[i]), others.labels.push_back(data.labels[i]);
    if (others.texts.empty()) continue;
    const TextClassifier model = TextClassifier::train(others.texts, others.labels, encoder, seed);
    for (size_t i = 0; i < fold.size(); ++i) {
      if (fold[i] != f) continue;
      for (const LabelChance& one : model.classify(data.texts[i]))
        out[i][static_cast<size_t>(std::lower_bound(names.begin(), names.end(), one.name) - names.begin())] = std::log(std::max(static_cast<float>(one.p), 1e-4f));
    }
  }
  return out;
}

double reading_speed(const TextEncoder& encoder, const Tokenizer& tokenizer, std::span<const Record> test) {
  std::vector<std::string> texts;
  int64_t tokens = 0;
  for (const Record& record : test.first(std::min<size_t>(test.size(), 100))) {
    texts.push_back(record.text);
    tokens += static_cast<int64_t>(tokenizer.encode(record.text).size());
  }
  const auto start = std::chrono::steady_clock::now();
  encoder.encode(texts);
  return static_cast<double>(tokens) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

json distil_labels(const Recipe& recipe, const DistilPlan& plan, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  ThreadTeam& team = default_team();
  const auto seed = static_cast<uint64_t>(recipe.train.seed);
  const StudentSize size = parse_student_size(plan.student);
  const auto base = open_shared_base(plan.teacher);
  const Base reading = open_base(plan.teacher);  // its vectors are cached
  const auto words = WordVectors::shipped();
  const LlamaConfig& large = base->model->config();
  const LabelTask task = recipe.kind == "triage" ? triage_task(recipe, out, say) : classifier_task(recipe, out, say);
  const LabelledTexts& train = task.learn;
  if (train.texts.empty() || task.test.empty()) bad_input("there is no record to judge the AI on", "data.sources", "give more records, or a test source");
  std::vector<std::string> names = train.labels;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  json report = {{"kind", recipe.kind}, {"name", recipe.name}, {"purpose", recipe.purpose}};
  const char* measure = recipe.kind == "triage" ? "top-1" : "accuracy";
  report["measure"] = measure;
  std::vector<double> hits;  // of who was judged last
  auto judged = [&](const Encoder& trunk, const Encoder& uncached, const Tokenizer& tokenizer, const Llama& model, double model_bytes) {
    Judged found = task.judge(trunk);
    hits = std::move(found.hits);
    json result = std::move(found.evaluation);
    result["parameters"] = model.config().parameters();
    result["bytes"] = model_bytes + found.bytes;
    result["memory"] = static_cast<double>(model.weight_bytes()) + found.bytes;
    result["tokens_per_s"] = reading_speed(*uncached, tokenizer, task.test);
    return result;
  };
  // What the words know already: without it nobody can tell what a trunk is worth.
  const Judged alone = task.judge(nullptr);
  report["words_alone"] = {{"quality", alone.evaluation["quality"]}};
  say(fmt::format("words     {} {:.3f} without any trunk", measure, report["words_alone"]["quality"].get<double>()));
  report["teacher"] = judged(reading.encoder, base_of_bytes(base->bytes, plan.teacher, base->owner).encoder, *base->tokenizer, *base->model, static_cast<double>(base->bytes.size()));
  say(fmt::format("teacher   {} {:.3f}, reads {:.0f} tokens/s", measure, report["teacher"]["quality"].get<double>(), report["teacher"]["tokens_per_s"].get<double>()));
  say(features_line(reading, plan.teacher));

  std::vector<bool> used(static_cast<size_t>(base->tokenizer->size()));
  for (size_t i = 0; i < std::min<size_t>(4096, used.size()); ++i) used[i] = true;
  for (const std::string& text : train.texts)
    for (int32_t id : base->tokenizer->encode(text)) used[static_cast<size_t>(id)] = true;
  const double each = static_cast<double>(row_bytes(plan.type, 256)) / 256;
  double parameters = size.value;
  if (size.unit == StudentSize::Unit::kBytes) parameters = size.value / each;
  if (size.unit == StudentSize::Unit::kSpeed) parameters = report["teacher"]["tokens_per_s"].get<double>() / size.value * static_cast<double>(large.parameters() - large.vocab * large.width);
  const bool trims = static_cast<double>(large.vocab * large.width) > 0.25 * parameters;
  TrimmedVocabulary small;
  if (trims) small = trim_vocabulary(*base->tokenizer, used);
  const auto tokenizer = trims ? small.tokenizer : base->tokenizer;
  if (size.unit == StudentSize::Unit::kSpeed) parameters += static_cast<double>(tokenizer->size() * large.width);  // reading does not go over the table
  const LlamaConfig shape = plan_student(large, trims ? tokenizer->size() : large.vocab, static_cast<int64_t>(parameters));
  report["plan"] = {{"student", plan.student}, {"parameters", shape.parameters()}, {"layers", {large.layers, shape.layers}}, {"width", {large.width, shape.width}}, {"heads", {large.heads, shape.heads}},
                    {"hidden", {large.hidden, shape.hidden}}, {"vocabulary", {large.vocab, shape.vocab}}, {"type", element_name(plan.type)}};
  say(fmt::format("student   {:.1f}M parameters: {} of {} layers, width {} of {}, {} of {} channels, {} of {} tokens", static_cast<double>(shape.parameters()) / 1e6, shape.layers, large.layers, shape.width,
                  large.width, shape.hidden, large.hidden, shape.vocab, large.vocab));

  const auto soft = opinions(train, names, join_encoders({words, reading.encoder}), seed);
  std::vector<TuningSample> samples, measured;
  size_t shortened = 0;
  for (size_t i = 0; i < train.texts.size(); ++i) {
    TuningSample one;
    one.ids = tokenizer->encode(train.texts[i], false, true);
    if (one.ids.empty()) continue;
    if (one.ids.size() > kLongest) ++shortened, one.ids.resize(kLongest);
    one.targets = {static_cast<int32_t>(std::lower_bound(names.begin(), names.end(), train.labels[i]) - names.begin())};
    for (size_t c = 0; c < names.size(); ++c) one.teacher_tokens.push_back(static_cast<int32_t>(c));
    one.teacher_logits = soft[i];
    if (measured.size() < 32) {
      TuningSample whole = one;
      if (trims)
        for (int32_t& id : whole.ids) id = small.kept[static_cast<size_t>(id)];
      measured.push_back(whole);
    }
    samples.push_back(std::move(one));
  }
  if (shortened) say(fmt::format("  {} texts teach by their first {} tokens only; the AI reads more", shortened, kLongest));
  const UnitImportance importance = measure_importance(*base->model, measured, team);

  auto trained = [&](const char* which, bool taught, const std::filesystem::path& file) {
    auto model = prune(*base->model, importance, shape, trims ? std::span<const int32_t>(small.kept) : std::span<const int32_t>());
    std::vector<float> head_values(names.size() * static_cast<size_t>(shape.width)), head_grad(head_values.size());
    Weight head{"labels", ElementType::kF32, static_cast<int64_t>(names.size()), shape.width, head_values.data(), head_grad.data(), nullptr};
    TuningPlan p;
    p.training.batch = 32, p.training.rate = plan.rate, p.training.decay = 0.01, p.training.beta2 = 0.98, p.training.floor = 0.05, p.training.seed = seed;
    p.training.steps = plan.steps > 0 ? plan.steps : steps_for(samples.size(), 3, p.training.batch);
    p.training.warmup = std::max<int64_t>(1, p.training.steps / 20);
    p.training.bf16 = cpu::bf16_kernels() != nullptr;
    p.label_head = &head;
    if (taught) p.teacher_k = static_cast<int64_t>(names.size()), p.soft = static_cast<float>(plan.soft), p.temperature = 1;
    auto weights = model->weights();
    std::erase_if(weights, [&](const Weight* w) { return w->name == "output.weight"; });
    weights.push_back(&head);
    Tuner tuner(model, weights, samples, p, base->sha256 + which + plan.student, team);
    const TuningRun run = run_tuning(tuner, p.training.steps, out.string() + "." + which, 0, fmt::format("train {} ({:.1f}M parameters)", which, static_cast<double>(shape.parameters()) / 1e6), "distil");
    GgufWriter writer;
    writer.set("general.name", GgufValue::text(recipe.name));
    if (task.kept_back) writer.set(kKeptBackKey, GgufValue::u32(static_cast<uint32_t>(task.kept_back)));
    model->write(writer, plan.type, plan.type);
    tokenizer->to_gguf(writer);
    auto bytes = std::make_shared<std::string>(writer.bytes());
    write_file(file, *bytes);
    const auto view = std::as_bytes(std::span(*bytes));
    const Encoder encoder = base_of_bytes(view, which, bytes).encoder;
    json result = judged(std::make_shared<CachedEncoder>(encoder), encoder, *tokenizer, *model, static_cast<double>(bytes->size()));
    result["memory"] = result["bytes"];
    result["steps"] = p.training.steps;
    result["train_tokens_per_s"] = run.tokens_per_s;
    say(fmt::format("{:<9} {} {:.3f}, reads {:.0f} tokens/s", which, measure, result["quality"].get<double>(), result["tokens_per_s"].get<double>()));
    return result;
  };
  const std::filesystem::path gguf = out.string() + ".student.gguf", other = out.string() + ".alone.gguf";
  report["student"] = trained("student", true, gguf);
  const PairedDifference over_words = paired_bootstrap(hits, alone.hits, seed);
  report["gain_over_words"] = {{"mean", over_words.mean}, {"low", over_words.low}, {"high", over_words.high}};
  if (plan.alone) {
    const std::vector<double> taught = hits;
    report["student_alone"] = trained("alone", false, other);
    const PairedDifference d = paired_bootstrap(taught, hits, seed);
    report["gain"][measure] = {{"mean", d.mean}, {"low", d.low}, {"high", d.high}};
  }
  Recipe packed = recipe;
  packed.base = gguf.string();
  report["build"] = task.build(packed);
  for (const char* state : {".student", ".alone", ".student.gguf", ".alone.gguf"}) std::filesystem::remove(out.string() + state);
  report["file"] = out.string();
  return report;
}

}  // namespace ingot
