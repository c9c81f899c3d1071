// A model's chat template: the part of Jinja that published templates use, rendered as transformers' apply_chat_template does
// (trim_blocks, lstrip_blocks, loop controls, generation tags, its tojson). docs/chat-templates.md lists what is supported.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ingot {

// Immutable once made; any thread may render.
class ChatTemplate {
 public:
  // Throws Error (input) for a template outside the subset, with the construct and its line.
  explicit ChatTemplate(std::string_view source, std::string name = "chat template");
  ~ChatTemplate();

  const std::string& source() const { return source_; }

  // `variables`: an object with messages, and as the model wants them tools, documents, add_generation_prompt, bos_token, eos_token
  // and others. messages must be a list of objects; absent tools and documents are none, absent add_generation_prompt is false.
  // `now` is what strftime_now prints, in local time. Throws Error (input) with the template's own words when it refuses the
  // conversation (raise_exception), and when it asks for too much: work, nesting and text made are bounded by the input's size.
  std::string render(const nlohmann::ordered_json& variables, std::time_t now) const;

 private:
  struct Parsed;
  std::string source_, name_;
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace ingot
