#include "foundry/distil/text_teacher.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/sha256.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kAskedAtOnce = 64;  // of a model here, between two looks at the disk
constexpr int kConnections = 4;
constexpr auto kThinking = std::chrono::seconds(600);  // that a teacher may take for an answer

std::vector<ChatMessage> question_part(const Conversation& one) {
  auto messages = one.messages;
  messages.pop_back();
  return messages;
}

class LocalTeacher : public TextTeacher {
 public:
  LocalTeacher(const ChatAi& ai, std::string hash, ThreadTeam& team) : ai_(ai), hash_(std::move(hash)), engine_(ai_.model(), ai_.base->tokenizer, team, options()) {}
  std::string identity() const override { return hash_; }
  void answer(std::span<const Conversation> conversations, int64_t max_tokens, const std::function<void(size_t, std::string)>& take) override {
    std::vector<Generation> requests(conversations.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].prompt = ai_.prompt->tokens(question_part(conversations[i]), true);
      requests[i].limit = std::min(max_tokens, engine_.context() - static_cast<int64_t>(requests[i].prompt.size()));
      requests[i].sampling.temperature = 0;
    }
    Progress progress("the teacher answers", requests.size());
    for (size_t at = 0; at < requests.size(); at += kAskedAtOnce) {
      const auto said = answer_all(engine_, std::span(requests).subspan(at, std::min(kAskedAtOnce, requests.size() - at)), progress);
      stop_if_interrupted("distil");
      for (size_t i = 0; i < said.size(); ++i) take(at + i, said[i].text);
    }
    progress.finish();
  }

 private:
  static EngineOptions options() {
    EngineOptions out;
    out.cache_bytes = int64_t{1} << 28;
    return out;
  }
  ChatAi ai_;
  std::string hash_;
  Engine engine_;
};

class RemoteTextTeacher : public TextTeacher {
 public:
  explicit RemoteTextTeacher(RemoteTeacher remote) : remote_(std::move(remote)) {
    while (remote_.url.ends_with('/')) remote_.url.pop_back();
  }
  std::string identity() const override { return remote_.url + " " + remote_.model; }

  void answer(std::span<const Conversation> conversations, int64_t max_tokens, const std::function<void(size_t, std::string)>& take) override {
    Progress progress("the teacher answers", conversations.size());
    std::atomic<size_t> next{0};
    std::mutex one_at_a_time;
    std::exception_ptr fault;
    std::atomic<bool> stop{false};
    std::vector<std::thread> askers;
    for (int t = 0; t < std::min<int>(kConnections, static_cast<int>(conversations.size())); ++t)
      askers.emplace_back([&] {
        try {
          for (size_t i; (i = next.fetch_add(1)) < conversations.size() && !stop && !interrupted();) {
            wait_for_turn();
            std::string said = ask(conversations[i], max_tokens);
            std::lock_guard lock(one_at_a_time);
            take(i, std::move(said));
            progress.advance();
          }
        } catch (...) {
          stop = true;
          std::lock_guard lock(one_at_a_time);
          if (!fault) fault = std::current_exception();
        }
      });
    for (auto& asker : askers) asker.join();
    if (fault) std::rethrow_exception(fault);
    stop_if_interrupted("distil");
    progress.finish();
  }

 private:
  void wait_for_turn() {
    if (remote_.per_minute <= 0) return;
    const auto apart = std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(60 / remote_.per_minute));
    std::chrono::steady_clock::time_point mine;
    {
      std::lock_guard lock(pace_);
      mine = std::max(turn_, std::chrono::steady_clock::now());
      turn_ = mine + apart;
    }
    while (std::chrono::steady_clock::now() < mine && !interrupted()) std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(mine - std::chrono::steady_clock::now(), std::chrono::milliseconds(100)));
  }

  std::string ask(const Conversation& one, int64_t max_tokens) const {
    json messages = json::array();
    for (const ChatMessage& message : question_part(one)) messages.push_back({{"role", message.role}, {"content", message.content}});
    const json body = {{"model", remote_.model}, {"messages", messages}, {"max_tokens", max_tokens}, {"temperature", 0}};
    HttpQuery query;
    query.url = remote_.url + "/chat/completions";
    query.bearer = remote_.key;
    query.retry = remote_.retry;
    query.quiet = kThinking;
    HttpAnswer answer;
    try {
      answer = http_ask(query, body.dump(-1, ' ', false, json::error_handler_t::replace));
    } catch (const FetchError& error) {
      const char* todo = error.status == 401 || error.status == 403 ? "set INGOT_TEACHER_KEY to a key that it takes"
                         : error.status >= 400 && error.status < 500 && error.status != 429 ? "check --teacher and --teacher-model"
                                                                                             : "run the same command again when it answers; what came is kept";
      throw Error(ErrorKind::environment, fmt::format("the teacher gives no answer: {}", error.status ? fmt::format("it says {}", error.status) : error.what()), shown_url(query.url), todo);
    }
    const json said = json::parse(answer.body, nullptr, false);
    if (said.is_object() && said.contains("choices") && said["choices"].is_array() && !said["choices"].empty() && said["choices"][0].is_object()) {
      const json message = said["choices"][0].value("message", json());
      if (message.is_object() && message.contains("content") && message["content"].is_string()) return message["content"];
    }
    throw Error(ErrorKind::environment, "the teacher's answer is no chat completion: " + answer.body.substr(0, 200), shown_url(query.url), "name the address below which /chat/completions lies");
  }

  RemoteTeacher remote_;
  std::mutex pace_;
  std::chrono::steady_clock::time_point turn_{};
};

}  // namespace

std::unique_ptr<TextTeacher> local_teacher(const ChatAi& ai, std::string hash, ThreadTeam& team) { return std::make_unique<LocalTeacher>(ai, std::move(hash), team); }

bool is_remote(const std::string& teacher) { return teacher.starts_with("http://") || teacher.starts_with("https://"); }

std::unique_ptr<TextTeacher> remote_teacher(const RemoteTeacher& remote) {
  if (remote.model.empty()) throw Error(ErrorKind::usage, "a teacher behind an address needs its name there", "--teacher-model", "give the name that it has in its /models");
  if (remote.licence.empty())
    throw Error(ErrorKind::usage, "nothing says that this teacher's answers may be learnt from", "--teacher-licence", "give the terms in a few words, they become part of the file's provenance: --teacher-licence 'Apache-2.0'");
  const bool here = remote.url.starts_with("http://127.0.0.1") || remote.url.starts_with("http://localhost") || remote.url.starts_with("http://[::1]");
  if (!remote.key.empty() && !here && !remote.url.starts_with("https://"))
    throw Error(ErrorKind::usage, "the key would cross the network in the clear", shown_url(remote.url), "use an https address, or ask without INGOT_TEACHER_KEY");
  return std::make_unique<RemoteTextTeacher>(remote);
}

std::vector<Conversation> taught_by_text(TextTeacher& teacher, std::vector<Conversation> conversations, int64_t max_tokens, const std::filesystem::path& cache) {
  std::string asked;
  for (const Conversation& one : conversations)
    for (const ChatMessage& message : question_part(one)) asked += message.role + "\x1f" + message.content + "\x1e";
  const std::string header = json{{"teacher", teacher.identity()}, {"max_tokens", max_tokens}, {"asked", hex(sha256(asked))}}.dump(-1, ' ', false, json::error_handler_t::replace);
  std::vector<std::optional<std::string>> answers(conversations.size());
  if (std::filesystem::exists(cache)) {
    const std::string text = read_file(cache);
    size_t at = text.find('\n');
    if (at != std::string::npos && text.substr(0, at) == header)
      for (++at; at < text.size();) {
        const size_t end = text.find('\n', at);
        if (end == std::string::npos) break;
        const json line = json::parse(text.substr(at, end - at), nullptr, false);
        if (!line.is_array() || line.size() != 2 || !line[0].is_number_unsigned() || line[0] >= answers.size() || !line[1].is_string()) break;
        answers[line[0].get<size_t>()] = line[1].get<std::string>();
        at = end + 1;
      }
  }
  size_t unsaved = 0;
  const auto save = [&] {
    std::string text = header + "\n";
    for (size_t i = 0; i < answers.size(); ++i)
      if (answers[i]) text += json{i, *answers[i]}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    write_file(cache, text);
    unsaved = 0;
  };
  std::vector<size_t> open;
  std::vector<Conversation> rest;
  for (size_t i = 0; i < answers.size(); ++i)
    if (!answers[i]) open.push_back(i), rest.push_back(conversations[i]);
  try {
    if (!rest.empty())
      teacher.answer(rest, max_tokens, [&](size_t i, std::string text) {
        answers[open[i]] = std::move(text);
        if (++unsaved >= kAskedAtOnce) save();
      });
  } catch (...) {
    save();
    throw;
  }
  save();
  for (size_t i = 0; i < conversations.size(); ++i) conversations[i].messages.back().content = *answers[i];
  return conversations;
}

}  // namespace ingot
