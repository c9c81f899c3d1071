#include "train/teacher.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "core/blob.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/sha256.h"

namespace ingot {
namespace {

constexpr std::string_view kCache = "ingot teacher 1";
constexpr int64_t kRows = 256;

void answer(const Llama& teacher, TuningSample& s, const std::vector<int32_t>& ids, const TeacherPlan& plan, Arena& arena, ThreadTeam& team) {
  Context c{team, arena};
  auto mark = arena.mark();
  const int64_t starts[] = {0, static_cast<int64_t>(ids.size())};
  Tensor hidden = teacher.packed(c, ids, starts);
  std::vector<int64_t> rows;
  for (size_t i = 0; i < s.targets.size(); ++i)
    if (s.targets[i] >= 0) rows.push_back(static_cast<int64_t>(i));
  const auto k = static_cast<size_t>(plan.k);
  s.teacher_tokens.resize(rows.size() * k);
  s.teacher_logits.resize(rows.size() * k);
  const int64_t vocab = plan.tokens.empty() ? teacher.config().vocab : static_cast<int64_t>(plan.tokens.size());
  for (size_t first = 0; first < rows.size(); first += kRows) {
    const size_t n = std::min<size_t>(kRows, rows.size() - first);
    auto inner = arena.mark();
    Tensor some = c.make(static_cast<int64_t>(n), hidden.cols);
    for (size_t i = 0; i < n; ++i) std::memcpy(some.row(static_cast<int64_t>(i)), hidden.row(rows[first + i]), static_cast<size_t>(hidden.cols) * sizeof(float));
    Tensor logits = teacher.logits(c, some);
    team.parallel_for(n, 1, [&](size_t from, size_t to) {
      std::vector<int32_t> order(static_cast<size_t>(vocab));
      for (size_t i = from; i < to; ++i) {
        const float* row = logits.row(static_cast<int64_t>(i));
        auto value = [&](int32_t token) { return row[plan.tokens.empty() ? token : plan.tokens[static_cast<size_t>(token)]]; };
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + static_cast<long>(k), order.end(),
                          [&](int32_t a, int32_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
        for (size_t j = 0; j < k; ++j) {
          s.teacher_tokens[(first + i) * k + j] = order[j];
          s.teacher_logits[(first + i) * k + j] = value(order[j]);
        }
      }
    });
    arena.release(inner);
  }
  arena.release(mark);
}

}  // namespace

void ask_teacher(const Llama& teacher, std::vector<TuningSample>& samples, std::span<const std::vector<int32_t>> teacher_ids, const TeacherPlan& plan,
                 const std::filesystem::path& cache, const std::string& identity, ThreadTeam& team) {
  const int64_t vocab = plan.tokens.empty() ? teacher.config().vocab : static_cast<int64_t>(plan.tokens.size());
  if (plan.k < 1 || plan.k > vocab) throw Error(ErrorKind::usage, "the teacher's tokens a position are " + std::to_string(plan.k), "--top-k", "choose 1 to " + std::to_string(vocab));
  BlobWriter key;
  key.put(std::string_view(identity));
  key.put(plan.k);
  for (const TuningSample& s : samples) {
    key.put(s.ids);
    key.put(s.targets);
  }
  const std::string belongs = hex(sha256(key.take()));
  size_t done = 0;
  if (std::filesystem::exists(cache)) {
    MappedFile file(cache);
    BlobReader in(file.bytes(), cache.string());
    if (in.text() == kCache && in.text() == belongs) {
      done = static_cast<size_t>(in.get<uint64_t>());
      in.require(done <= samples.size());
      for (size_t i = 0; i < done; ++i) {
        samples[i].teacher_tokens = in.vector<int32_t>();
        samples[i].teacher_logits = in.vector<float>();
        const auto expected = static_cast<size_t>(samples[i].scored() * plan.k);
        in.require(samples[i].teacher_tokens.size() == expected && samples[i].teacher_logits.size() == expected);
        for (int32_t token : samples[i].teacher_tokens) in.require(token >= 0 && token < vocab);
      }
    }
  }
  auto save = [&](size_t count) {
    BlobWriter out;
    out.put(kCache);
    out.put(std::string_view(belongs));
    out.put(static_cast<uint64_t>(count));
    for (size_t i = 0; i < count; ++i) {
      out.put(samples[i].teacher_tokens);
      out.put(samples[i].teacher_logits);
    }
    write_file(cache, out.take());
  };
  Arena arena;
  Progress progress("ask the teacher", samples.size());
  progress.advance(done);
  auto saved = std::chrono::steady_clock::now();
  for (size_t i = done; i < samples.size(); ++i) {
    answer(teacher, samples[i], teacher_ids.empty() ? samples[i].ids : teacher_ids[i], plan, arena, team);
    progress.advance();
    if (interrupted() || std::chrono::steady_clock::now() - saved > std::chrono::seconds(30)) {
      save(i + 1);
      saved = std::chrono::steady_clock::now();
    }
    if (interrupted()) throw Error(ErrorKind::interrupted, "stopped while the teacher was asked", "distil", "run the same command again to go on");
  }
  if (done < samples.size()) save(samples.size());
  progress.finish();
}

}  // namespace ingot
