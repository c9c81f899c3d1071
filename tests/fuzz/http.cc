// Bodies, paths and queries of requests to the service over a small AI: always one answer, never an exception or a 500.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/progress.h"
#include "core/random.h"
#include "foundry/ai.h"
#include "serve/service.h"

namespace {

using namespace ingot;

class Asked : public HttpExchange {
 public:
  explicit Asked(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void send(int status, std::string_view, std::string_view, const HttpHeaders&) override {
    if (status >= 500 || answered_) std::abort();
    answered_ = true;
  }
  void begin(int, std::string_view, const HttpHeaders&) override { answered_ = true; }
  bool write(std::string_view) override { return true; }
  void finish() override {}
  bool gone() const override { return false; }
  bool begun() const override { return answered_; }

 private:
  HttpRequest request_;
  bool answered_ = false;
};

Service& service() {
  static Service* made = [] {
    Random random(1);
    std::vector<Record> records;
    for (int i = 0; i < 120; ++i) {
      Record record;
      const std::string who = std::to_string(random.below(3));
      record.id = std::to_string(i), record.engineer = "person" + who, record.component = "part" + who, record.time = i;
      for (int w = 0; w < 6; ++w) record.text += "word" + who + std::to_string(random.below(9)) + " ";
      records.push_back(record);
    }
    ArchiveWriter writer;
    writer.describe("triage", "bugs");
    writer.add("triage.bin", TriageModel::train(records, {}).save());
    const auto file = std::filesystem::temp_directory_path() / ("ingot_fuzz_http_" + std::to_string(getpid()));
    writer.write(file);
    const auto ai = Ai::open(file);
    std::filesystem::remove(file);
    return new Service({ai}, "");
  }();
  return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_progress_style(ProgressStyle::silent);
  // Those that a triage AI answers, and those that refuse it after reading the body.
  static constexpr std::array paths{"/classify", "/v1/responses", "/v1/chat/completions", "/v1/feedback", "/v1/fly", "/v1/models/bugs", "/health", "/v1/messages", "/v1/guard/check",
                                    "/v1/route", "/v1/rollback", "/metrics", "/openapi.json", "/v1/metadata"};
  if (size == 0) return 0;
  HttpRequest request;
  request.method = data[0] & 0x80 ? "GET" : "POST";
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t which = (data[0] & 0x7f) % (paths.size() + 1);
  std::string decoded;
  const bool path = decode_percent(rest, &decoded);
  if (which == paths.size()) {
    if (!path) return 0;
    request.path = decoded;
  } else {
    request.path = paths[which];
    request.body = rest;
  }
  auto asked = std::make_shared<Asked>(std::move(request));
  service().handle(asked);
  if (!asked->begun()) std::abort();
  return 0;
}
