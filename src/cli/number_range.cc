#include "cli/number_range.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <functional>

namespace ingot {
namespace {

CLI::Validator finite_number(const std::string& range, std::function<bool(double)> within) {
  return {[range, within = std::move(within)](std::string& text) {
            double value = 0;
            const bool good = CLI::detail::lexical_cast(text, value) && std::isfinite(value) && within(value);
            return good ? std::string() : "\"" + text + "\" is no number " + range;
          }, range};
}

std::string figure_text(double value) { return CLI::detail::to_string(value); }

}  // namespace

CLI::Validator whole(int64_t least, int64_t most) {
  const std::string from = "from " + std::to_string(least) + " to " + std::to_string(most), open = "of at least " + std::to_string(least);
  return {[=](std::string& text) {
            int64_t value = least;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool number = error == std::errc() && end == text.data() + text.size();
            if (number && value >= least && value <= most) return std::string();
            const bool small = most == kMostWhole && error != std::errc::result_out_of_range && value <= most;
            return "\"" + text + "\" is no whole number " + (small ? open : from);
          }, most == kMostWhole ? open : from};
}

CLI::Validator from_to(double least, double most) {
  return finite_number("from " + figure_text(least) + " to " + figure_text(most), [=](double value) { return value >= least && value <= most; });
}
CLI::Validator at_least(double least) {
  return finite_number("of at least " + figure_text(least), [=](double value) { return value >= least; });
}
CLI::Validator above(double bound) {
  return finite_number("above " + figure_text(bound), [=](double value) { return value > bound; });
}

}  // namespace ingot
