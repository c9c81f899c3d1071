// A conversation that is to be continued, whichever API it came through: what is common to chat completions, responses and messages.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/constraint.h"
#include "runtime/engine.h"
#include "serve/call.h"
#include "serve/model_registry.h"
#include "serve/tool_calls.h"

namespace ingot {

class Service;

enum class ToolChoice { kNone, kAuto, kRequired, kNamed };

struct ChatTask {
  std::shared_ptr<const ServedModel> model;
  Json messages = Json::array();   // OpenAI's shape
  Json tools = Json::array();      // {"type": "function", "function": {name, description, parameters}}
  ToolChoice choice = ToolChoice::kAuto;
  std::string tool;                // kNamed: which
  bool parallel = true;            // several calls in one answer
  Json variables = Json::object(); // more for the template
  std::optional<ConstraintSpec> form;  // the answer must be JSON of a schema, follow a grammar, ...; none: free text
  Generation generation;           // sampling, stop, limit (0: as the service has it), choices, top_logprobs
  std::vector<std::string> documents;  // that the answer must rest on where the AI's rails ask for it; the model sees them as variables

  // prepare() fills in:
  std::string question;            // the user's last words
  std::string refusal;             // of the input rails, in words; not empty: nothing is generated
  Json guard;                      // their verdict; null without rails
  ToolFormat format = ToolFormat::kNone;
  bool may_think = false, thinking = false;
};

// Sampling fields that all OpenAI-like bodies share: temperature, top_p, top_k, min_p, typical_p, penalties, DRY, seed, logit_bias, stop.
// What a body leaves out is as the model's makers advise, else off.
void read_sampling(const Json& body, Generation& out, const ServedModel& model);
std::vector<std::string> read_stop(const Json& body, const char* key);

// Tools and tool_choice in OpenAI's shape, checked.
void read_tools(const Json& body, ChatTask& task);

struct Asked {
  std::string last;                  // the last thing that the user said
  std::vector<std::string> earlier;  // what they said before, oldest first
};
// Refuses with the name of the body's field where the user said nothing.
Asked asked_of(const Json& messages, const char* where);
// Who answers a conversation: `asked`, or, where the site passes questions on and the topic rail of `asked` stops this one, the AI whose
// subject it is.
std::shared_ptr<const ServedModel> answering_model(Service& service, std::shared_ptr<const ServedModel> asked, const Json& messages);

// Applies the input rails, renders the template, tokenizes, and settles limit and constraint. Throws Refusal, with both numbers for
// a prompt that is too long.
void prepare_chat(Service& service, ChatTask& task);
// The input rails on what was asked: fills in question, guard and refusal. What goes on is task.question, masked where a rail says so.
// earlier: what the same person asked before, oldest first.
void check_question(Service& service, ChatTask& task, std::string question, const std::vector<std::string>& earlier = {});
// "documents": texts, or objects with "text" or "content", and "title". Those that the rails stop are left out.
void read_documents(const Json& body, ChatTask& task);
// The prompt as the model reads it, without rails: for counting tokens.
std::vector<int32_t> conversation_tokens(ChatTask& task);

// Refuses a prompt that does not fit, with both numbers; else lowers limit to what the context leaves.
void fit_context(const ServedModel& model, Generation& generation, int64_t otherwise);

// The model of the body, loaded; refuses one that does not generate.
std::shared_ptr<const ServedModel> generating_model(Service& service, const Json& body);

// The content of a message as one text; refuses images and sound by name.
std::string content_text(const Json& content, const char* where);

}  // namespace ingot
