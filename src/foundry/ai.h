// An AI as it was packed: opened from one file, asked for answers.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "formats/archive.h"
#include "foundry/people.h"
#include "foundry/base.h"
#include "foundry/chat/chat_ai.h"
#include "foundry/classify/text_classifier.h"
#include "foundry/triage/triage_model.h"
#include "guard/rails.h"

namespace ingot {

class Ai {
 public:
  // Who joined, was renamed or left is read from the file beside it (People::beside).
  // Throws Error for a file that is altered, of a kind or a format that this version does not run.
  static std::shared_ptr<const Ai> open(const std::filesystem::path& path);

  std::string name() const { return archive_->name(); }
  std::string kind() const { return archive_->kind(); }
  std::string hash() const { return archive_->hash(); }
  const Archive& archive() const { return *archive_; }
  const std::shared_ptr<const Archive>& shared_archive() const { return archive_; }
  const TriageModel& triage() const { return triage_; }          // REQUIRES: kind() is "triage"
  const TextClassifier& classifier() const { return classifier_; }  // REQUIRES: kind() is "classify"
  const ChatAi& chat() const;               // REQUIRES: kind() is "chat". Loads base and adapter when it is first called
  const BasePlace& chat_base() const { return chat_base_; }  // REQUIRES: kind() is "chat"
  const Rails& rails() const { return rails_; }
  const Base& base() const { return base_; }  // empty unless the AI reads with a language model

  // The object that `ingot classify --json` prints, whatever the rails say. triage: engineers, components (name, p), abstain,
  // why. classify: label, labels (name, p), abstain. Throws Error (input) for kind "chat", which converses. Thread-safe.
  nlohmann::json classify(const std::string& text) const;
  // The same behind the rails: allowed, rail, reason and score are added, and a text that is stopped gets no names.
  nlohmann::json answer(const std::string& text, std::span<const std::string> earlier = {}) const;

 private:
  std::shared_ptr<const Archive> archive_;
  Base base_;
  TriageModel triage_;
  TextClassifier classifier_;
  BasePlace chat_base_;
  mutable std::once_flag chat_once_;
  mutable ChatAi chat_;
  Rails rails_;
  People people_;
};

}  // namespace ingot
