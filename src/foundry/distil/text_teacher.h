// Who teaches by its own answers: a model here, or one behind an OpenAI-compatible API.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foundry/chat/chat_ai.h"
#include "foundry/chat/chat_evaluation.h"
#include "net/download.h"

namespace ingot {

class TextTeacher {
 public:
  virtual ~TextTeacher() = default;
  virtual std::string identity() const = 0;  // what its answers depend on
  // Each conversation's last answer said anew, greedily; take(i, text) is called for each as it comes, one at a time. Throws Error.
  virtual void answer(std::span<const Conversation> conversations, int64_t max_tokens, const std::function<void(size_t, std::string)>& take) = 0;
};

// hash: of model and adapter.
std::unique_ptr<TextTeacher> local_teacher(const ChatAi& ai, std::string hash, ThreadTeam& team);

struct RemoteTeacher {
  std::string url;           // "https://host/v1": chat/completions is asked below it
  std::string model;         // its name there
  std::string key;           // sent as a bearer token; empty: none
  std::string licence;       // under which its answers may be learnt from, for the provenance
  double per_minute = 0;     // requests at most; 0: as many as it takes. What it says in Retry-After is kept to in any case
  RetryPolicy retry;
};
bool is_remote(const std::string& teacher);
// Throws Error (usage) where the licence or the model is missing, or a key would cross the network in the clear.
std::unique_ptr<TextTeacher> remote_teacher(const RemoteTeacher& remote);

// The conversations with the teacher's answers as their last ones. They are kept in `cache`, so that an interrupted run asks for the rest alone.
std::vector<Conversation> taught_by_text(TextTeacher& teacher, std::vector<Conversation> conversations, int64_t max_tokens, const std::filesystem::path& cache);

}  // namespace ingot
