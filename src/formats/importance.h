// An importance matrix: how large each input of each matrix usually is. Written as llama.cpp's GGUF form, read from that and from its
// older binary form.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

class Importance {
 public:
  static Importance open(const std::filesystem::path& path);
  static Importance parse(std::string_view bytes, const std::string& name);

  // Sums of squares over `rows` inputs of the matrix `name`.
  void add(const std::string& name, const std::vector<double>& squares, int64_t rows);
  // Mean square of each of the matrix's `columns` inputs; null when nothing is known of it. Throws Error (input) for another number.
  const float* find(const std::string& name, int64_t columns) const;
  size_t size() const { return entries_.size(); }
  void write(const std::filesystem::path& path, const std::string& dataset, int64_t chunks, int64_t chunk_tokens) const;

 private:
  struct Entry {
    std::vector<double> squares;
    std::vector<float> means;
    double rows = 0;
  };
  void settle();
  std::map<std::string, Entry> entries_;
  std::string name_;
};

}  // namespace ingot
