// What a person sees while something takes long: a bar with ETA on a terminal, plain lines elsewhere, JSON lines with --json.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ingot {

enum class ProgressStyle { silent, lines, bar, json };

// Chosen once by the command line (--json, --quiet, terminal or not). stderr is where progress goes; stdout is for results.
void set_progress_style(ProgressStyle style);
ProgressStyle progress_style();

// One step of long work. Prints at most ~5 times a second on a terminal and every 5 s elsewhere.
class Progress {
 public:
  Progress(std::string name, uint64_t total);  // total 0: unknown
  ~Progress();
  void advance(uint64_t by = 1, std::string_view note = {});  // one thread
  void finish(std::string_view summary = {});                 // prints the step's closing line, once

 private:
  void print(std::string_view note, bool last);
  std::string name_;
  uint64_t total_, done_ = 0;
  bool finished_ = false;
  std::chrono::steady_clock::time_point start_, shown_;
};

// True once Ctrl-C was pressed; long loops check it, save their state and throw Error(interrupted).
bool interrupted();
std::shared_ptr<const std::atomic<bool>> interruption();  // the same, for what is told by a flag that it should end
void stop_if_interrupted(const char* where);  // throws that Error; for work that has no state to save
void install_interrupt_handler();
void end_on_interrupt();  // from here on Ctrl-C ends the process at once: for commands that only print and have nothing to save

}  // namespace ingot
