// What a teacher says of samples: its likeliest tokens at every scored position, kept on disk.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/llama/llama.h"
#include "train/tuner.h"

namespace ingot {

struct TeacherPlan {
  int64_t k = 32;                    // tokens kept a position
  std::span<const int32_t> tokens;   // the teacher's id of each student token; empty: the same ids. Others are not counted among the k
};

// Fills teacher_tokens (in the student's ids) and teacher_logits of each sample. teacher_ids: the samples' ids in the teacher's vocabulary,
// where that is another. `cache` keeps what was done, so that an interrupted run goes on; identity: what it must belong to (teacher,
// samples). Shows progress; throws Error (interrupted) after saving.
void ask_teacher(const Llama& teacher, std::vector<TuningSample>& samples, std::span<const std::vector<int32_t>> teacher_ids, const TeacherPlan& plan,
                 const std::filesystem::path& cache, const std::string& identity, ThreadTeam& team);

}  // namespace ingot
