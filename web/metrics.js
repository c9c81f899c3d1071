// Prometheus' text form: names to lists of {labels, value}.

export function parse(text) {
  const out = new Map();
  for (const line of text.split("\n")) {
    if (!line || line.startsWith("#")) continue;
    const match = /^([\w:]+)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    if (!out.has(match[1])) out.set(match[1], []);
    out.get(match[1]).push({labels, value: match[3] === "+Inf" ? Infinity : Number(match[3])});
  }
  return out;
}

export function sum(metrics, name, labels = {}) {
  let total = 0;
  for (const one of metrics.get(name) ?? [])
    if (Object.entries(labels).every(([key, value]) => one.labels[key] === value)) total += one.value;
  return total;
}

// Upper bounds to counts at or below, of one model or of all.
export function histogram(metrics, name, model) {
  const out = new Map();
  for (const one of metrics.get(`${name}_bucket`) ?? []) {
    if (model && one.labels.model_name !== model) continue;
    const bound = one.labels.le === "+Inf" ? Infinity : Number(one.labels.le);
    out.set(bound, (out.get(bound) ?? 0) + one.value);
  }
  return out;
}

// Of what came since `before` (null: of all), as Prometheus reckons it: straight within a bucket. null where nothing came.
export function quantile(now, before, q) {
  const bounds = [...now.keys()].sort((a, b) => a - b);
  const counts = bounds.map((bound) => now.get(bound) - (before?.get(bound) ?? 0));
  const all = counts.at(-1) ?? 0;
  if (!all) return null;
  const at = counts.findIndex((count) => count >= q * all);
  if (bounds[at] === Infinity) return bounds[at - 1] ?? null;
  const below = at ? counts[at - 1] : 0, from = at ? bounds[at - 1] : 0;
  return from + ((bounds[at] - from) * (q * all - below)) / (counts[at] - below);
}
