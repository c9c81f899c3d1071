// Pulls from a server on loopback that has the faults of real ones (hub_server.py).
#include "runtime/model_pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "cli/shell.h"
#include "core/error.h"
#include "core/file_digest.h"
#include "core/files.h"
#include "core/progress.h"
#include "runtime/package_index.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class ModelPullTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_progress_style(ProgressStyle::silent);
    int out[2], in[2];
    ASSERT_EQ(pipe(out), 0);
    ASSERT_EQ(pipe(in), 0);
    server_ = fork();
    if (server_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      for (int fd : {out[0], out[1], in[0], in[1]}) close(fd);
      execlp("python3", "python3", INGOT_TEST_DATA "/runtime/hub_server.py", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(out[1]);
    close(in[0]);
    alive_ = in[1];
    std::string line;
    for (char c; read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    close(out[0]);
    std::istringstream words(line);
    words >> port_ >> joined_sha256_ >> joined_size_;
    ASSERT_GT(port_, 0) << "the server did not start: is python3 installed?";
  }
  static void TearDownTestSuite() {
    close(alive_);
    waitpid(server_, nullptr, 0);
  }

  void SetUp() override {
    for (const char* name : {"HF_TOKEN", "HF_ENDPOINT", "INGOT_HF_ENDPOINT", "INGOT_INDEX_URL"}) unsetenv(name);
    data_ = fs::path(testing::TempDir()) / ("pull_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(data_);
    options_.data = data_;
    options_.hub = url("");
    options_.index = url("/simple");
    options_.retry.first_wait = std::chrono::milliseconds(10);
    options_.say = [this](const std::string& line) { said_ += line + "\n"; };
  }
  void TearDown() override { fs::remove_all(data_); }

  static std::string url(const std::string& path) { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  json requests(const std::string& path) const {  // those whose path begins so
    json out = json::array();
    for (const auto& one : json::parse(http_get({url("/log"), {}, "", {}}).body))
      if (one["path"].get<std::string>().starts_with(path)) out.push_back(one);
    return out;
  }
  std::string error_of(const std::string& what, std::vector<CatalogueModel> catalogue = {}) {
    try {
      pull_model(what, catalogue, options_);
    } catch (const Error& error) {
      kind_ = error.kind;
      return error.what();
    }
    return "no error";
  }
  CatalogueModel joined(std::vector<std::vector<std::string>> places) const {
    return {"joined", "base", "two halves", "MIT", "https://example.org", "model.bin", {"en"}, {{"model.bin", joined_size_, joined_sha256_, std::move(places)}}};
  }
  const std::vector<std::string> halves_ = {"wheel:pack-part1==1.0.0:pkg/part1", "wheel:pack-part2==1.0.0:pkg/part2"};

  static pid_t server_;
  static int port_, alive_;
  static std::string joined_sha256_;
  static uint64_t joined_size_;
  fs::path data_;
  PullOptions options_;
  std::string said_;
  ErrorKind kind_ = ErrorKind::internal;
};
pid_t ModelPullTest::server_;
int ModelPullTest::port_ = 0, ModelPullTest::alive_;
std::string ModelPullTest::joined_sha256_;
uint64_t ModelPullTest::joined_size_;

TEST_F(ModelPullTest, TakesAHuggingFaceFolderThroughRedirectsAndADroppedConnection) {
  setenv("HF_TOKEN", "secret-of-the-hub", 1);
  const Pulled pulled = pull_model("hf:maker/folder", {}, options_);
  EXPECT_EQ(pulled.model.name, "folder");
  EXPECT_EQ(pulled.model.licence, "apache-2.0");
  EXPECT_EQ(pulled.model.revision.size(), 40u);
  EXPECT_EQ(pulled.model.open, ".");
  EXPECT_THAT(said_, HasSubstr("licence apache-2.0"));
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(data_ / "models/folder")) files.insert(entry.path().filename().string());
  EXPECT_EQ(files, (std::set<std::string>{"config.json", "model.safetensors", "tokenizer.json", "README.md", "pulled.json"}));  // no pickle, nothing half done
  EXPECT_EQ(fs::file_size(data_ / "models/folder/model.safetensors"), 900'000u);

  const json cdn = requests("/cdn/maker/folder/");
  ASSERT_EQ(cdn.size(), 2u);
  EXPECT_TRUE(cdn[0]["range"].is_null());
  EXPECT_EQ(cdn[1]["range"], "bytes=300000-");  // went on, did not begin again
  for (const auto& one : cdn) EXPECT_TRUE(one["auth"].is_null()) << "the token went to another host";
  for (const auto& one : requests("/api/models/maker/folder")) EXPECT_EQ(one["auth"], "Bearer secret-of-the-hub");

  EXPECT_TRUE(pull_model("hf:maker/folder@v1", {}, options_).already);
  EXPECT_EQ(requests("/cdn/maker/folder/").size(), 2u);
}

TEST_F(ModelPullTest, NamesTheChoicesAndTakesOne) {
  EXPECT_THAT(error_of("hf:maker/ggufs"), HasSubstr("a.Q4_0.gguf (0 MB), a.Q8_0.gguf (0 MB)"));
  EXPECT_EQ(pull_model("hf:maker/ggufs:q8_0", {}, options_).model.open, "a.Q8_0.gguf");
  EXPECT_EQ(pull_model("hf:maker/ggufs:a.Q4_0.gguf@main", {}, options_).model.name, "a.Q4_0");
  EXPECT_THAT(error_of("hf:maker/ggufs:Q5_K"), HasSubstr("\"Q5_K\" is not one file there"));
  EXPECT_EQ(pull_model("hf:maker/split", {}, options_).model.files.size(), 2u);
  EXPECT_THAT(error_of("hf:maker/folder@no-such-branch"), HasSubstr("404"));
}

TEST_F(ModelPullTest, RefusesBytesThatAreNotTheOnesPromised) {
  EXPECT_THAT(error_of("hf:maker/lying"), HasSubstr("its SHA-256 is"));
  EXPECT_EQ(kind_, ErrorKind::input);
  EXPECT_FALSE(stored_model(data_, "x"));
  options_.sha256 = std::string(64, 'a');
  EXPECT_THAT(error_of(url("/plain/well/m.gguf")), HasSubstr("not aaaa"));
  EXPECT_FALSE(stored_model(data_, "m"));
}

TEST_F(ModelPullTest, GoesOnWhereAnEarlierRunStopped) {
  options_.retry.attempts = 1;
  EXPECT_NE(error_of(url("/plain/dropped/a.gguf")), "no error");
  EXPECT_FALSE(stored_model(data_, "a"));
  pull_model(url("/plain/dropped/a.gguf"), {}, options_);
  EXPECT_EQ(requests("/plain/dropped/a.gguf").back()["range"], "bytes=100000-");
  const std::string whole = sha256_of_file(data_ / "models/a/a.gguf");

  // The file changes between two runs: the halves must not be joined.
  EXPECT_NE(error_of(url("/plain/dropped/b.gguf")), "no error");
  http_get({url("/change"), {}, "", {}});
  pull_model(url("/plain/dropped/b.gguf"), {}, options_);
  EXPECT_EQ(fs::file_size(data_ / "models/b/b.gguf"), 400'000u);
  pull_model(url("/plain/well/c.gguf"), {}, options_);
  EXPECT_EQ(sha256_of_file(data_ / "models/b/b.gguf"), sha256_of_file(data_ / "models/c/c.gguf"));
  EXPECT_NE(sha256_of_file(data_ / "models/b/b.gguf"), whole);

  // Without a tag and a hash nothing says that the rest belongs to what lies there: begin again.
  EXPECT_NE(error_of(url("/plain/untagged/d.gguf")), "no error");
  pull_model(url("/plain/untagged/d.gguf"), {}, options_);
  EXPECT_TRUE(requests("/plain/untagged/d.gguf").back()["range"].is_null());
  EXPECT_EQ(sha256_of_file(data_ / "models/d/d.gguf"), sha256_of_file(data_ / "models/c/c.gguf"));
}

TEST_F(ModelPullTest, WaitsAsLongAsTheServerAsks) {
  const auto start = std::chrono::steady_clock::now();
  pull_model(url("/plain/busy/a.gguf"), {}, options_);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  pull_model(url("/plain/ill/a2.gguf"), {}, options_);
  EXPECT_THAT(error_of(url("/plain/closed/a3.gguf")), HasSubstr("asks to wait 90000 s"));
  EXPECT_EQ(kind_, ErrorKind::environment);
  EXPECT_THAT(error_of(url("/plain/gone/a4.gguf")), HasSubstr("answers 404"));
  EXPECT_EQ(requests("/plain/gone/a4.gguf").size(), 1u);  // a 404 is not asked again
  EXPECT_EQ(retry_after_seconds("Thu, 01 Jan 1970 00:01:40 GMT", 40), 60);
  EXPECT_EQ(retry_after_seconds("soon", 0), -1);
}

TEST_F(ModelPullTest, JoinsAModelThatComesInSeveralWheels) {
  for (const std::string index : {"/simple", "/html/"}) {
    options_.index = url(index);
    options_.again = true;
    const Pulled pulled = pull_model("joined", {joined({{"hf:maker/none:x"}, halves_})}, options_);
    EXPECT_EQ(sha256_of_file(data_ / "models/joined/model.bin"), joined_sha256_);
    EXPECT_EQ(pulled.model.origin, "the package pack-part1 1.0.0 and 1 more");
    EXPECT_THAT(said_, HasSubstr("not from hf:maker/none: the server answers 404"));
    EXPECT_FALSE(fs::exists(data_ / "models/joined/.wheels"));
  }
  options_.again = false;
  EXPECT_TRUE(pull_model("joined", {joined({halves_})}, options_).already);
  options_.again = true;
  EXPECT_THAT(error_of("joined", {joined({{halves_[1], halves_[0]}})}), HasSubstr("its SHA-256 is"));
  EXPECT_TRUE(stored_model(data_, "joined")) << "a failed pull takes the good model away";
  options_.index = url("/liar");
  EXPECT_THAT(error_of("joined", {joined({halves_})}), HasSubstr("not the one that the index states"));
  options_.index = url("/simple");
  EXPECT_THAT(error_of("joined", {joined({{"wheel:pack-part1==7.7:pkg/part1"}})}), HasSubstr("no wheel of pack-part1 7.7"));
  EXPECT_THAT(error_of("joined", {joined({{"wheel:pack-part1==1.0.0:pkg/none"}})}), HasSubstr("there is no pkg/none in it"));
}

TEST_F(ModelPullTest, FetchesNothingOffline) {
  options_.offline = true;
  const size_t before = json::parse(http_get({url("/log"), {}, "", {}}).body).size();
  EXPECT_THAT(error_of("hf:maker/folder"), HasSubstr("--offline forbids"));
  EXPECT_EQ(kind_, ErrorKind::environment);
  EXPECT_EQ(json::parse(http_get({url("/log"), {}, "", {}}).body).size(), before + 1);
  options_.offline = false;
  pull_model("joined", {joined({halves_})}, options_);
  options_.offline = true;
  EXPECT_TRUE(pull_model("joined", {joined({halves_})}, options_).already);
}

TEST_F(ModelPullTest, TheEnvironmentNamesTheMirror) {
  options_.hub.clear();
  setenv("HF_ENDPOINT", url("/").c_str(), 1);
  EXPECT_EQ(pull_model("hf:maker/ggufs:q8_0", {}, options_).model.open, "a.Q8_0.gguf");
  setenv("INGOT_HF_ENDPOINT", url("/mirror").c_str(), 1);  // goes before the other, and has no models
  EXPECT_THAT(error_of("hf:maker/ggufs:a.Q4_0.gguf"), HasSubstr("404"));
  EXPECT_EQ(requests("/mirror/api/models/maker/ggufs").size(), 1u);
  options_.hub = url("");  // what is given goes before both
  EXPECT_EQ(pull_model("hf:maker/ggufs:a.Q4_0.gguf", {}, options_).model.open, "a.Q4_0.gguf");
}

TEST_F(ModelPullTest, TheCommandHeedsTheEnvironment) {
  const std::string pull = harness::kIngot + " pull hf:maker/ggufs:q8_0 --json --data " + data_.string();
  const std::string here = "HF_ENDPOINT=" + url("") + " ";
  const size_t before = requests("/api/models/maker/ggufs").size();
  const auto refused = harness::shell("INGOT_OFFLINE=1 " + here + pull);
  EXPECT_EQ(refused.code, static_cast<int>(ErrorKind::environment)) << refused.out;
  EXPECT_THAT(refused.out, HasSubstr("--offline"));
  EXPECT_EQ(requests("/api/models/maker/ggufs").size(), before) << "offline, it asked";
  const auto pulled = harness::shell(here + pull);
  ASSERT_EQ(pulled.code, 0) << pulled.out;
  EXPECT_EQ(json::parse(pulled.out)["already"], false);
  EXPECT_GT(requests("/api/models/maker/ggufs").size(), before);
  const auto again = harness::shell("INGOT_OFFLINE=1 " + here + pull);
  ASSERT_EQ(again.code, 0) << again.out;
  EXPECT_EQ(json::parse(again.out)["already"], true);
}

TEST_F(ModelPullTest, TwoPullsOfOneModelFetchItOnce) {
  Pulled first, second;
  std::thread other([&] { second = pull_model(url("/plain/slow/t.gguf"), {}, options_); });
  first = pull_model(url("/plain/slow/t.gguf"), {}, options_);
  other.join();
  EXPECT_NE(first.already, second.already);
  EXPECT_EQ(requests("/plain/slow/t.gguf").size(), 1u);
}

TEST_F(ModelPullTest, ChecksTheDiskBeforehand) {
  auto model = joined({halves_});
  model.files[0].size = uint64_t{1} << 43;
  EXPECT_THAT(error_of("joined", {model}), HasSubstr("not enough disk space: 17592186 MB are needed"));
}

TEST_F(ModelPullTest, KeepsWhatAPathNames) {
  const fs::path file = data_ / "mine.gguf";
  fs::create_directories(data_);
  std::ofstream(file) << "weights";
  pull_model(file.string(), {}, options_);
  setenv("INGOT_DATA", data_.c_str(), 1);
  EXPECT_EQ(pulled_model("mine"), data_ / "models/mine/mine.gguf");
  EXPECT_EQ(read_file(*pulled_model("mine")), "weights");
  EXPECT_FALSE(pulled_model("../mine"));
  EXPECT_EQ(stored_models(data_).size(), 1u);
  EXPECT_THROW(remove_model(data_, "../mine"), Error);
  EXPECT_THROW(remove_model(data_, "minx"), Error);
  remove_model(data_, "mine");
  EXPECT_FALSE(pulled_model("mine"));
  unsetenv("INGOT_DATA");
  CatalogueModel smollm2;
  smollm2.name = "smollm2";
  EXPECT_THAT(error_of("smolm2", {smollm2}), HasSubstr("did you mean \"smollm2\"?"));
}

TEST(Catalogue, TheInstalledOneIsWellFormed) {
  const auto models = parse_catalogue(read_file(fs::path(INGOT_TEST_DATA).parent_path() / "models/catalogue.toml"), "catalogue.toml");
  std::set<std::string> names;
  for (const CatalogueModel& model : models) {
    names.insert(model.name);
    bool from_index = true;
    for (const CatalogueFile& file : model.files) {
      bool wheel = false;
      for (const auto& place : file.places) wheel |= ModelPlace::parse(place[0]).kind == ModelPlace::Kind::wheel;
      from_index &= wheel;
    }
    EXPECT_TRUE(from_index) << model.name << " has a file that the package index does not have";
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"smollm2-135m-instruct", "all-minilm-l6-v2", "gemma-3-270m", "silero-vad", "whisper-base"}));
}

TEST(Catalogue, WrongOnesAreRefusedWithTheirLine) {
  const std::string good = "[[model]]\nname = \"a\"\nkind = \"chat\"\nsummary = \"s\"\nlicence = \"MIT\"\nlicence_url = \"u\"\nopen = \"f\"\n[[model.file]]\npath = \"f\"\nsize = 1\n"
                           "sha256 = \"" + std::string(64, '0') + "\"\nfrom = [\"hf:a/b:f\"]\n";
  EXPECT_EQ(parse_catalogue(good, "c").size(), 1u);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& words) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    try {
      parse_catalogue(text, "c");
      ADD_FAILURE() << "taken: " << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  };
  refused("summary", "sumary", "c:1: \"model.summary\" is missing");
  refused("path = \"f\"", "path = \"../f\"", "c:9");
  refused("size = 1", "size = -1", "c:10: \"model.file.size\" is -1");
  refused("sha256 = \"0", "sha256 = \"g", "64 hexadecimal digits");
  refused("hf:a/b:f", "/etc/passwd", "c:12");
  refused("hf:a/b:f", "hf:a/../b:f", "is not a place");
  refused("open = \"f\"", "open = \"g\"", "none of the files");
  refused("size = 1", "size = 1\nsise = 2", "did you mean \"size\"?");
}

TEST(PackageIndex, ReadsPipsConfigurationAndJoinsAddresses) {
  EXPECT_EQ(index_of_pip_conf("# x\n[global]\nindex-url = https://a/simple\n[install]\nindex-url=https://b\n"), "https://a/simple");
  EXPECT_EQ(index_of_pip_conf("index-url = https://a"), "");
  EXPECT_EQ(package_index("https://given"), "https://given");
  const std::string page = "https://i.example/simple/pkg/";
  EXPECT_EQ(join_url(page, "https://x/y"), "https://x/y");
  EXPECT_EQ(join_url(page, "//x/y"), "https://x/y");
  EXPECT_EQ(join_url(page, "/y"), "https://i.example/y");
  EXPECT_EQ(join_url(page, "../../f/y.whl"), "https://i.example/f/y.whl");
  EXPECT_EQ(join_url(page, "../../../../f"), "https://i.example/f");
  EXPECT_EQ(shown_url("https://user:secret@host/a?token=1"), "https://host/a");
}

}  // namespace
}  // namespace ingot
