// A JSON file of a Hugging Face folder (config.json and its neighbours), every value checked as it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// Error (input) names the file and key, what was expected and what was found. A null counts as absent.
class HfConfig {
 public:
  static HfConfig open(const std::filesystem::path& path);
  static HfConfig parse(std::string_view json, std::string name);
  static HfConfig empty(std::string name);

  bool has(std::string_view key) const;
  bool names(std::string_view key) const;                                       // even with null
  int64_t count(std::string_view key, int64_t most) const;                      // 1 to most, required
  int64_t count(std::string_view key, int64_t most, int64_t otherwise) const;
  int64_t integer(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;                  // finite
  bool boolean(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, std::string otherwise) const;
  std::vector<int64_t> integers(std::string_view key) const;                    // one number counts as a list of one
  std::vector<std::string> texts(std::string_view key) const;
  std::optional<HfConfig> object(std::string_view key) const;
  bool is_list(std::string_view key) const;
  std::vector<HfConfig> objects(std::string_view key) const;                    // of a list
  const std::string& name() const { return name_; }
  [[noreturn]] void refuse(std::string what, std::string todo = "use a model of a supported family") const;

 private:
  struct Node;
  HfConfig(std::shared_ptr<const Node> node, std::string name) : node_(std::move(node)), name_(std::move(name)) {}
  std::shared_ptr<const Node> node_;
  std::string name_;
};

}  // namespace ingot
