#include "runtime/open_model.h"

#include <cstdlib>

#include "core/error.h"
#include "core/files.h"

namespace ingot {

std::filesystem::path find_model(const std::string& name) {
  namespace fs = std::filesystem;
  if (fs::is_regular_file(name)) return name;
  const char* data = std::getenv("INGOT_DATA");
  const char* xdg = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  fs::path cache = data ? fs::path(data) : xdg ? fs::path(xdg) / "ingot" : fs::path(home ? home : ".") / ".local/share/ingot";
  for (const fs::path& path : {share_dir() / "models" / (name + ".gguf"), cache / "models" / (name + ".gguf"), cache / "models" / name / "model.gguf"})
    if (name.find('/') == std::string::npos && fs::is_regular_file(path)) return path;
  bad_input("there is no model \"" + name + "\"", "model", "give the path of a .gguf file, ingot-base, or fetch a starter with: ingot pull " + name);
}

LanguageModel open_model(const std::string& name) {
  LanguageModel out;
  out.path = find_model(name);
  auto file = Gguf::open(out.path);
  out.model = Llama::load(file);
  out.tokenizer = Tokenizer::from_gguf(*file);
  return out;
}

}  // namespace ingot
