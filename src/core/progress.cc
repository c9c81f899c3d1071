#include "core/progress.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "core/error.h"
#include "core/interrupt.h"

namespace ingot {
namespace {

ProgressStyle current_style = ProgressStyle::silent;
std::atomic<bool> stop_asked = false, ends_at_once = false;  // lock-free: a signal handler may use them
static_assert(std::atomic<bool>::is_always_lock_free);

std::string duration(double seconds) {
  char text[32];
  if (seconds < 99.5) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else {
    std::snprintf(text, sizeof text, "%d min %02d s", static_cast<int>(seconds) / 60, static_cast<int>(seconds) % 60);
  }
  return text;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

}  // namespace

void set_progress_style(ProgressStyle style) { current_style = style; }
ProgressStyle progress_style() { return current_style; }

Progress::Progress(std::string name, uint64_t total)
    : name_(std::move(name)), total_(total), start_(std::chrono::steady_clock::now()), shown_(start_) {}

Progress::~Progress() {
  if (!finished_ && current_style == ProgressStyle::bar && shown_ != start_) std::fputc('\n', stderr);
}

void Progress::advance(uint64_t by, std::string_view note) {
  done_ += by;
  if (current_style == ProgressStyle::silent) return;
  auto now = std::chrono::steady_clock::now();
  auto every = current_style == ProgressStyle::bar ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000);
  if (now - shown_ < every) return;
  shown_ = now;
  print(note, false);
}

void Progress::finish(std::string_view summary) {
  if (finished_) return;
  finished_ = true;
  print(summary, true);
}

void Progress::print(std::string_view note, bool last) {
  if (current_style == ProgressStyle::silent) return;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  double share = total_ ? static_cast<double>(done_) / static_cast<double>(total_) : 0;
  if (current_style == ProgressStyle::json) {
    std::fprintf(stderr, "{\"step\":%s,\"done\":%llu,\"total\":%llu,\"seconds\":%.2f,\"finished\":%s,\"note\":%s}\n",
                 json_string(name_).c_str(), static_cast<unsigned long long>(done_), static_cast<unsigned long long>(total_),
                 seconds, last ? "true" : "false", json_string(note).c_str());
    return;
  }
  std::string line = name_;
  line.resize(std::max<size_t>(line.size(), 12), ' ');
  if (last) {
    line += " done in " + duration(seconds);
  } else if (total_) {
    int filled = static_cast<int>(share * 24);
    line += " [" + std::string(filled, '#') + std::string(24 - filled, '.') + "] " + std::to_string(static_cast<int>(share * 100)) + "%";
    if (share > 0.01) line += ", " + duration(seconds * (1 - share) / share) + " left";
  } else {
    line += " " + std::to_string(done_) + " in " + duration(seconds);
  }
  if (!note.empty()) line += "  " + std::string(note);
  bool bar = current_style == ProgressStyle::bar;
  std::fprintf(stderr, "%s%s%s", bar ? "\r\033[K" : "", line.c_str(), bar && !last ? "" : "\n");
}

bool interrupted() { return stop_asked; }

std::shared_ptr<const std::atomic<bool>> interruption() { return {std::shared_ptr<const void>(), &stop_asked}; }

void stop_if_interrupted(const char* where) {
  if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted, nothing was written", where, "run the same command again");
}

void forget_interrupt() { stop_asked = false; }

void install_interrupt_handler() {
  std::signal(SIGINT, [](int) {
    if (ends_at_once) {
      constexpr std::string_view said = "ingot: interrupted; run the same command again\n";
      [[maybe_unused]] const auto written = write(STDERR_FILENO, said.data(), said.size());
    }
    if (stop_asked || ends_at_once) std::_Exit(130);  // a second Ctrl-C does not wait
    stop_asked = true;
  });
}

void end_on_interrupt() { ends_at_once = true; }

}  // namespace ingot
