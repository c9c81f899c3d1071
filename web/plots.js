// Plots as SVG, drawn for the size they have: lines over time, a calibration curve, intervals.
import {h, replace, s} from "./dom.js";

// Round steps: 1, 2, 5 times a power of ten.
function steps(least, most, count) {
  const rawStep = (most - least) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rawStep));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rawStep);
  const out = [];
  for (let at = Math.ceil(least / step) * step; at <= most + step * 1e-9; at += step) out.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return out;
}

// A frame with axes. x, y: {least, most, label, show: value -> text}. Returns {svg, across, down, area}.
export function frame({width: wished = 560, height = 220, x, y, title, left = 52, bottom = 40, right = 14, top = 12}) {
  const width = Math.min(wished, Math.max(280, (document.querySelector("main")?.clientWidth ?? wished) - 68));  // a narrow window gets a narrow plot, not a small one
  const across = (value) => left + ((value - x.least) / (x.most - x.least || 1)) * (width - left - right);
  const down = (value) => height - bottom - ((value - y.least) / (y.most - y.least || 1)) * (height - top - bottom);
  const svg = s("svg", {class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, preserveAspectRatio: "xMidYMid meet"});
  for (const at of y.ticks ?? steps(y.least, y.most, 4))
    svg.append(s("line", {class: "grid", x1: left, x2: width - right, y1: down(at), y2: down(at)}), s("text", {class: "tick", x: left - 8, y: down(at) + 4, "text-anchor": "end"}, y.show(at)));
  for (const at of x.ticks ?? steps(x.least, x.most, 5))
    svg.append(s("text", {class: "tick", x: across(at), y: height - bottom + 18, "text-anchor": "middle"}, x.show(at)));
  if (x.label) svg.append(s("text", {class: "axis", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle"}, x.label));
  if (y.label) svg.append(s("text", {class: "axis", transform: `translate(12 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle"}, y.label));
  return {svg, across, down, left, right: width - right, top, bottom: height - bottom};
}

export const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// series: [{name, tone, points: [[x, y], ...]}]; y null breaks the line.
export function lines(plot, series, {fill = false, marks = false} = {}) {
  for (const {tone, points} of series) {
    const runs = [[]];
    for (const [x, y] of points) {
      if (y === null || !Number.isFinite(y)) runs.push([]);
      else runs.at(-1).push([plot.across(x), plot.down(y)]);
    }
    for (const run of runs.filter((one) => one.length)) {
      if (fill) plot.svg.append(s("path", {class: `fill ${tone}`, d: `${path(run)}L${run.at(-1)[0].toFixed(1)} ${plot.bottom}L${run[0][0].toFixed(1)} ${plot.bottom}Z`}));
      plot.svg.append(s("path", {class: `line ${tone}`, d: path(run)}));
      if (marks || run.length === 1) for (const [x, y] of run) plot.svg.append(s("circle", {class: `dot ${tone}`, cx: x, cy: y, r: 3.5}));
    }
  }
  return plot.svg;
}

export const legend = (series) => h("ul", {class: "legend"}, series.map(({name, tone}) => h("li", {class: tone}, name)));

// How often it was right when it was so sure: bins of {confidence, right, cases}.
export function calibration(bins, words) {
  const plot = frame({width: 380, height: 340, left: 68, right: 24, title: words.title, x: {least: 0, most: 1, ticks: [0, 0.25, 0.5, 0.75, 1], show: words.percent, label: words.said}, y: {least: 0, most: 1, ticks: [0, 0.25, 0.5, 0.75, 1], show: words.percent, label: words.was}});
  plot.svg.append(s("line", {class: "ideal", x1: plot.across(0), y1: plot.down(0), x2: plot.across(1), y2: plot.down(1)}));
  const most = Math.max(...bins.map((bin) => bin.cases));
  lines(plot, [{tone: "a", points: bins.map((bin) => [bin.confidence, bin.right])}]);
  for (const bin of bins)
    plot.svg.append(s("circle", {class: "dot a", cx: plot.across(bin.confidence), cy: plot.down(bin.right), r: 3 + 6 * Math.sqrt(bin.cases / most)}, s("title", {}, words.bin(bin))));
  return plot.svg;
}

// rows: [{name, mean, low, high, tone}]: a point and its interval each, around zero.
export function intervals(rows, show) {
  const reach = Math.max(0.01, ...rows.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)])) * 1.06;
  const least = rows.some((row) => row.low < -1e-9) ? -reach : -reach * 0.04;
  const across = (value) => 4 + ((value - least) / (reach - least)) * 232;
  return h("ul", {class: "intervals"}, rows.map((row) => h("li", {}, h("span", {}, row.name),
    s("svg", {class: "plot", viewBox: "0 0 240 20", "aria-hidden": "true"}, s("line", {class: "zero", x1: across(0), x2: across(0), y1: 0, y2: 20}),
      s("line", {class: `whisker ${row.tone ?? "a"}`, x1: across(row.low), x2: across(row.high), y1: 10, y2: 10}), s("circle", {class: `dot ${row.tone ?? "a"}`, cx: across(row.mean), cy: 10, r: 4.5})),
    h("span", {class: "share"}, show(row)))));
}

// A line over time that is drawn again and again: values [[seconds, number], ...] of several series, the newest at the right.
export function overTime(host, {title, show, tones, names, span, floor = 1, most: ceiling}) {
  const reading = h("p", {class: "reading"});
  const place = h("div", {class: "plot-place"});
  replace(host, h("header", {}, h("h2", {}, title), reading), place, names.length > 1 ? legend(names.map((name, i) => ({name, tone: tones[i]}))) : null);
  return (all, now) => {
    const seen = all.map((points) => points.filter(([x]) => x >= now - span));
    const most = ceiling ?? Math.max(floor, ...seen.flat().map(([, y]) => y ?? 0)) * 1.1;
    const plot = frame({title: `${title}: ${names.map((name, i) => `${name} ${show(seen[i].at(-1)?.[1] ?? 0)}`).join(", ")}`, width: place.clientWidth || 560, height: 190, bottom: 26, left: 56,
      x: {least: -span, most: 0, ticks: [-span, -span / 2, 0], show: (value) => (value ? `${value / 60} min` : "0")}, y: {least: 0, most, show}});
    replace(place, lines(plot, seen.map((points, i) => ({tone: tones[i], points: points.map(([x, y]) => [x - now, y])})), {fill: names.length === 1}));
    reading.textContent = seen.map((points) => (points.at(-1) && points.at(-1)[1] !== null ? show(points.at(-1)[1]) : "–")).join(" / ");
  };
}
