#include "cli/command.h"

namespace ingot {

// One line a command, sorted as --help shows them; keep declarations and list together.
void add_bench(CLI::App& app);
void add_build(CLI::App& app);
void add_chat(CLI::App& app);
void add_classify(CLI::App& app);
void add_compare(CLI::App& app);
void add_completion(CLI::App& app);
void add_cost(CLI::App& app);
void add_data(CLI::App& app);
void add_doctor(CLI::App& app);
void add_detokenize(CLI::App& app);
void add_distil(CLI::App& app);
void add_embed(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_fly(CLI::App& app);
void add_generate(CLI::App& app);
void add_guard(CLI::App& app);
void add_imatrix(CLI::App& app);
void add_inspect(CLI::App& app);
void add_key(CLI::App& app);
void add_list(CLI::App& app);
void add_log(CLI::App& app);
void add_merge(CLI::App& app);
void add_new(CLI::App& app);
void add_pack(CLI::App& app);
void add_people(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_pretrain(CLI::App& app);
void add_pull(CLI::App& app);
void add_quantize(CLI::App& app);
void add_remove(CLI::App& app);
void add_route(CLI::App& app);
void add_serve(CLI::App& app);
void add_show(CLI::App& app);
void add_template(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_tokenizer(CLI::App& app);
void add_tune(CLI::App& app);
void add_verify(CLI::App& app);
void add_version(CLI::App& app);

CommandList commands() {
  static const AddCommand list[] = {
      add_bench,
      add_build,
      add_chat,
      add_classify,
      add_compare,
      add_completion,
      add_cost,
      add_data,
      add_doctor,
      add_detokenize,
      add_distil,
      add_embed,
      add_evaluate,
      add_fly,
      add_generate,
      add_guard,
      add_imatrix,
      add_inspect,
      add_key,
      add_list,
      add_log,
      add_merge,
      add_new,
      add_pack,
      add_people,
      add_perplexity,
      add_pretrain,
      add_pull,
      add_quantize,
      add_remove,
      add_route,
      add_serve,
      add_show,
      add_template,
      add_tokenize,
      add_tokenizer,
      add_tune,
      add_verify,
      add_version,
  };
  return {list, list + sizeof list / sizeof *list};
}

}  // namespace ingot
