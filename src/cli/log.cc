#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "store/request_log.h"

namespace ingot {

void add_log(CLI::App& app) {
  struct Options {
    std::string data, user;
    int64_t since = 0;
    bool all = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("log", "The request log of a site that chose to keep one: print it, delete from it");
  command->require_subcommand(1);
  const auto open = [](const Options& options) {
    const auto folder = data_folder(options.data);
    std::error_code failed;
    if (!std::filesystem::exists(Database::file_in(folder), failed)) bad_input("nothing was logged here", folder.string(), "name the data folder of the service");
    return std::make_unique<Database>(folder);
  };
  CLI::App* print = command->add_subcommand("print", "One JSON object a line");
  print->add_flag_callback("--json", [] {}, "as it is without it");
  print->add_option("--since", o->since, "seconds since 1970")->check(whole(0, 253402300799));
  print->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  print->callback([o, open] {
    const auto database = open(*o);
    if (RequestLog(*database, 0).size() == 0) fmt::print(stderr, "nothing is logged: the log is off unless site.toml says [log] requests = true\n");
    RequestLog(*database, 0).each(o->since, [](const LoggedRequest& r) {
      const nlohmann::ordered_json line = {{"time", r.time},     {"id", r.answer_id},     {"user", r.user},   {"route", r.route},
                                           {"model", r.model},   {"ai", r.ai},            {"status", r.status}, {"question", r.question},
                                           {"answer", r.reply}, {"prompt_tokens", r.prompt_tokens}, {"generated_tokens", r.generated_tokens}};
      std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    });
  });
  CLI::App* remove = command->add_subcommand("delete", "Delete what a user asked and was answered");
  CLI::Option* user = remove->add_option("--user", o->user, "the request's user, or the name of a key");
  remove->add_flag("--all", o->all, "everybody's")->excludes(user);
  remove->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  remove->callback([o, open] {
    if (o->user.empty() && !o->all) throw Error(ErrorKind::usage, "nobody is named", "log delete", "give --user NAME or --all");
    const auto database = open(*o);
    RequestLog log(*database, 0);
    fmt::print("deleted {} entries\n", o->all ? log.remove_all() : log.remove_user(o->user));
  });
}

}  // namespace ingot
