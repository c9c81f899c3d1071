// How both errors of a rail move with its threshold.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "guard/rates.h"

namespace ingot {

struct CurvePoint {
  double threshold = 0;
  Rate kept, stopped;  // of the texts that should pass, and of those that should not
};

// A text passes when its score is at the threshold or above. Thresholds: 0.01 to 0.99, finer at both ends, and `chosen`.
std::vector<CurvePoint> threshold_curve(std::span<const double> on, std::span<const double> off, double chosen);
CurvePoint point_at(std::span<const double> on, std::span<const double> off, double threshold);

// The two rates over the threshold, `chosen` marked.
std::string curve_svg(std::span<const CurvePoint> points, double chosen, const std::string& title);

}  // namespace ingot
