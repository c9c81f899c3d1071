#include "train/pretrain.h"

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"

namespace ingot {

Trainer::Trainer(std::shared_ptr<Llama> model, TrainingPlan plan, std::span<const uint16_t> tokens, ThreadTeam& team)
    : model_(std::move(model)), plan_(plan), tokens_(tokens), team_(team), optimiser_(model_->weights()), random_(plan.seed) {
  if (static_cast<int64_t>(tokens.size()) < plan.length + 1)
    bad_input("the training text has " + std::to_string(tokens.size()) + " tokens, one sequence needs " + std::to_string(plan.length + 1), "text",
              "give more text or a shorter sequence");
}

double Trainer::step() {
  const int64_t n = plan_.length * plan_.batch;
  std::vector<int32_t> ids(static_cast<size_t>(n)), targets(static_cast<size_t>(n));
  double loss = 0;
  for (int64_t micro = 0; micro < plan_.accumulate; ++micro) {
    for (int64_t s = 0; s < plan_.batch; ++s) {
      size_t at = random_.below(tokens_.size() - static_cast<size_t>(plan_.length));
      for (int64_t i = 0; i < plan_.length; ++i) {
        ids[static_cast<size_t>(s * plan_.length + i)] = tokens_[at + static_cast<size_t>(i)];
        targets[static_cast<size_t>(s * plan_.length + i)] = tokens_[at + static_cast<size_t>(i) + 1];
      }
    }
    auto mark = arena_.mark();
    Tape tape;
    Context c{team_, arena_, &tape, plan_.bf16};
    Tensor hidden = model_->dense(c, ids, plan_.length);
    loss += head_loss(c, hidden, model_->head(), targets, 1.0f / static_cast<float>(plan_.accumulate)) / static_cast<double>(n);
    tape.backward();
    arena_.release(mark);
  }
  norm_ = optimiser_.step(plan_, rate_at(optimiser_.taken()), team_);
  return loss / static_cast<double>(plan_.accumulate);
}

std::string Trainer::identity() const {
  const LlamaConfig& c = model_->config();
  BlobWriter out;
  for (int64_t v : {c.vocab, c.width, c.layers, c.heads, c.groups, c.head_size, c.hidden, int64_t{c.tied}, static_cast<int64_t>(tokens_.size())})
    out.put(v);
  plan_.identify(out);
  std::string bytes = out.take();
  bytes.append(reinterpret_cast<const char*>(tokens_.data()), tokens_.size() * sizeof(uint16_t));
  return hex(sha256(bytes));
}

void Trainer::save(const std::filesystem::path& path) const {
  BlobWriter out;
  out.put(std::string_view("ingot training state 2"));
  out.put(std::string_view(identity()));
  for (uint64_t word : random_.state) out.put(word);
  optimiser_.save(out);
  write_file(path, out.take());
}

void Trainer::resume(const std::filesystem::path& path) {
  MappedFile file(path);
  BlobReader in(file.bytes(), path.string());
  if (in.text() != "ingot training state 2") bad_input("this is not a training state", path.string(), "remove it to begin anew");
  if (in.text() != identity())
    bad_input("the saved state belongs to another model, plan or text", path.string(), "give the same options and text, or remove it to begin anew");
  for (uint64_t& word : random_.state) word = in.get<uint64_t>();
  optimiser_.load(in);
}

double mean_loss(const Llama& model, std::span<const uint16_t> tokens, int64_t length, ThreadTeam& team) {
  Arena arena;
  Context c{team, arena};
  double sum = 0;
  int64_t count = 0;
  for (size_t at = 0; at + 1 < tokens.size(); at += static_cast<size_t>(length)) {
    size_t n = std::min(static_cast<size_t>(length), tokens.size() - 1 - at);
    std::vector<int32_t> ids(tokens.begin() + static_cast<long>(at), tokens.begin() + static_cast<long>(at + n));
    std::vector<int32_t> targets(tokens.begin() + static_cast<long>(at + 1), tokens.begin() + static_cast<long>(at + n + 1));
    auto mark = arena.mark();
    Tensor hidden = model.dense(c, ids, static_cast<int64_t>(n));
    sum += head_loss(c, hidden, model.head(), targets, 1);
    arena.release(mark);
    count += static_cast<int64_t>(n);
  }
  return sum / static_cast<double>(std::max<int64_t>(1, count));
}

}  // namespace ingot
