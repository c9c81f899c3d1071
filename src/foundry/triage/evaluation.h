// How good a triage AI is on bugs it never saw, beside the plain look-ups.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "foundry/triage/triage_model.h"

namespace ingot {

// (cases) right class or -1 if it was never learnt -> accuracy, weighted and macro F1 as scikit-learn computes them over the
// classes that occur in either list. `right` and `predicted` are names.
struct ClassMetrics {
  double accuracy = 0, f1_weighted = 0, f1_macro = 0;
};
ClassMetrics class_metrics(std::span<const std::string> right, std::span<const std::string> predicted);

// Expected calibration error over ten bins of equal width.
double expected_calibration_error(std::span<const double> confidence, std::span<const int> right);

// Its bins that hold any: [{"confidence", "right", "cases"}], means and a count, for the curve.
nlohmann::json calibration_bins(std::span<const double> confidence, std::span<const int> right);

// The object that `ingot evaluate --json` prints. records: with engineer; those without a component do not count there.
nlohmann::json evaluate_triage(const TriageModel& model, std::span<const Record> records, uint64_t skipped);

// Accuracy of the answered part against the share that is answered, as an SVG picture.
std::string coverage_svg(const TriageModel& model, std::span<const Record> records);

}  // namespace ingot
