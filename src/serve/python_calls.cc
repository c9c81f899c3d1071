// Calls as Python writes them, which Gemma and the small Llama 3.2 prefer: [weather(city="Paris", days=3)].
#include <cctype>
#include <nlohmann/json.hpp>

#include "serve/tool_calls.h"

namespace ingot {
namespace {

using Json = nlohmann::ordered_json;

class PythonReader {
 public:
  explicit PythonReader(std::string_view text) : text_(text) {}

  bool calls(std::vector<AnswerPart>& out) {
    std::vector<AnswerPart> all;
    skip();
    const bool list = take('[');
    do {
      skip();
      if (list && peek() == ']') break;
      if (at_ >= text_.size()) break;
      AnswerPart part{AnswerPart::kToolCall, "", name(), ""};
      if (part.name.empty() || !take('(')) return false;
      Json arguments = Json::object();
      skip();
      while (peek() != ')') {
        const std::string key = name();
        Json value;
        if (key.empty() || !take('=') || !this->value(value, 0)) return false;
        arguments[key] = std::move(value);
        skip();
        if (!take(',')) break;
        skip();
      }
      if (!take(')')) return false;
      part.arguments = arguments.dump(-1, ' ', false, Json::error_handler_t::replace);
      all.push_back(std::move(part));
      skip();
    } while (take(',') || !list);
    if (list && !take(']')) return false;
    skip();
    if (at_ != text_.size() || all.empty()) return false;
    out.insert(out.end(), all.begin(), all.end());
    return true;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    skip();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  std::string name() {
    skip();
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == '.' || text_[at_] == '-')) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }
  bool quoted(std::string& out) {
    const char quote = peek();
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        const char c = text_[++at_];
        out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
      } else {
        out += text_[at_];
      }
    }
    return take(quote);
  }
  bool value(Json& out, int depth) {
    skip();
    if (depth > 32) return false;
    const char c = peek();
    if (c == '"' || c == '\'') {
      std::string text;
      if (!quoted(text)) return false;
      out = std::move(text);
      return true;
    }
    if (c == '[' || c == '(') {
      const char end = c == '[' ? ']' : ')';
      ++at_;
      out = Json::array();
      while (!take(end)) {
        Json one;
        if (!value(one, depth + 1)) return false;
        out.push_back(std::move(one));
        if (!take(',')) return take(end);
      }
      return true;
    }
    if (c == '{') {
      ++at_;
      out = Json::object();
      while (!take('}')) {
        Json key, one;
        if (!value(key, depth + 1) || !key.is_string() || !take(':') || !value(one, depth + 1)) return false;
        out[key.get<std::string>()] = std::move(one);
        if (!take(',')) return take('}');
      }
      return true;
    }
    std::string word;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.' || text_[at_] == '-' || text_[at_] == '+')) word += text_[at_++];
    if (word == "True" || word == "true") return out = true, true;
    if (word == "False" || word == "false") return out = false, true;
    if (word == "None" || word == "null") return out = nullptr, true;
    out = Json::parse(word, nullptr, false);
    return out.is_number();
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

bool read_python_calls(std::string_view text, std::vector<AnswerPart>& out) { return PythonReader(text).calls(out); }

}  // namespace ingot
