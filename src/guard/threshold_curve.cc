#include "guard/threshold_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ingot {

CurvePoint point_at(std::span<const double> on, std::span<const double> off, double threshold) {
  CurvePoint point{threshold, {0, on.size()}, {0, off.size()}};
  for (double score : on) point.kept.hits += score >= threshold;
  for (double score : off) point.stopped.hits += score < threshold;
  return point;
}

std::vector<CurvePoint> threshold_curve(std::span<const double> on, std::span<const double> off, double chosen) {
  std::vector<double> thresholds = {chosen};
  for (int step = -46; step <= 46; ++step) thresholds.push_back(1 / (1 + std::exp(-step / 10.0)));
  std::sort(thresholds.begin(), thresholds.end());
  std::vector<CurvePoint> points;
  for (double threshold : thresholds) points.push_back(point_at(on, off, threshold));
  return points;
}

std::string curve_svg(std::span<const CurvePoint> points, double chosen, const std::string& title) {
  constexpr int kWidth = 640, kHeight = 360, kLeft = 60, kRight = 20, kTop = 40, kBottom = 50;
  // Log-odds spread the ends, where thresholds lie.
  const auto across = [&](double threshold) { return kLeft + (std::log(threshold / (1 - threshold)) + 4.7) / 9.4 * (kWidth - kLeft - kRight); };
  const auto down = [&](double share) { return kTop + (1 - share) * (kHeight - kTop - kBottom); };
  std::string escaped;
  for (char c : title) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
                                "<text x=\"{}\" y=\"22\" font-size=\"14\">{}</text>\n", kWidth, kHeight, kLeft, escaped);
  for (double share : {0.0, 0.25, 0.5, 0.75, 1.0})
    svg += fmt::format("<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.0f} %</text>\n", kLeft, down(share), kWidth - kRight, kLeft - 6, down(share) + 4, 100 * share);
  for (double threshold : {0.01, 0.1, 0.5, 0.9, 0.99}) svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", across(threshold), kHeight - kBottom + 18, threshold);
  const auto line = [&](const char* colour, auto share) {
    std::string path;
    for (const CurvePoint& point : points)
      if (point.threshold > 0.009 && point.threshold < 0.991) path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", across(point.threshold), down(share(point)));
    svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, colour);
  };
  line("#1a7f37", [](const CurvePoint& point) { return point.kept.share(); });
  line("#b35900", [](const CurvePoint& point) { return point.stopped.share(); });
  const double mark = across(std::clamp(chosen, 0.01, 0.99));
  svg += fmt::format("<path d=\"M{:.1f} {}V{}\" stroke=\"#555\" stroke-dasharray=\"4 3\"/>\n", mark, kTop, kHeight - kBottom);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#1a7f37\">on topic and kept</text><text x=\"{}\" y=\"{}\" fill=\"#b35900\">off topic and stopped</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">threshold</text>\n</svg>\n", kLeft,
                     kHeight - 12, kLeft + 140, kHeight - 12, kWidth - kRight, kHeight - 12);
  return svg;
}

}  // namespace ingot
