#include "foundry/record.h"

namespace ingot {

std::vector<std::string> texts_of(std::span<const Record> records) {
  std::vector<std::string> texts;
  for (const Record& record : records) texts.push_back(record.text);
  return texts;
}

std::vector<std::string> labels_of(std::span<const Record> records) {
  std::vector<std::string> labels;
  for (const Record& record : records) labels.push_back(record.label);
  return labels;
}

}  // namespace ingot
