// What the service does now, from /metrics: drawn every two seconds.
import {getText} from "../api.js";
import {h, replace, select} from "../dom.js";
import {trouble} from "../notices.js";
import {overTime} from "../plots.js";
import {number, percent, rough, span, t} from "../words.js";
import {table} from "../card.js";
import {histogram, parse, quantile, sum} from "../metrics.js";

const kEvery = 2000, kSpan = 300;  // milliseconds; seconds shown
// It goes on where it was when the page is opened again in this tab.
const past = {samples: [], points: {}};

function take(name, at, values) {
  const list = (past.points[name] ??= values.map(() => []));
  values.forEach((value, i) => {
    list[i].push([at, value]);
    while (list[i].length && list[i][0][0] < at - kSpan) list[i].shift();
  });
}

export async function page(body) {
  let model = "";
  const choose = select([["", t("live.all")]], "", {"aria-label": t("live.model"), onChange: () => {
    model = choose.value;
    past.samples = [];
    past.points = {};
  }});
  const tiles = h("div", {class: "tiles"}), fault = h("div"), answers = h("div");
  const host = (key) => h("section", {class: "card", "data-plot": key});
  const hosts = Object.fromEntries(["speed", "queue", "first", "between", "cache", "requests"].map((key) => [key, host(key)]));
  const two = ["a", "b"];
  const plots = {
    speed: overTime(hosts.speed, {title: t("live.speed"), names: [t("live.generated"), t("live.read")], tones: two, show: rough, span: kSpan, floor: 10}),
    queue: overTime(hosts.queue, {title: t("live.queue"), names: [t("live.running"), t("live.waiting")], tones: two, show: (value) => number(value, value % 1 ? 1 : 0), span: kSpan, floor: 4}),
    first: overTime(hosts.first, {title: t("live.first"), names: ["p50", "p95"], tones: two, show: span, span: kSpan, floor: 0.1}),
    between: overTime(hosts.between, {title: t("live.between"), names: ["p50", "p95"], tones: two, show: span, span: kSpan, floor: 0.02}),
    cache: overTime(hosts.cache, {title: t("live.cache"), names: [t("live.used")], tones: ["a"], show: (value) => percent(value, 0), span: kSpan, most: 1}),
    requests: overTime(hosts.requests, {title: t("live.requests"), names: [t("live.done"), t("live.refused")], tones: two, show: rough, span: kSpan, floor: 1}),
  };

  function draw(at) {
    const samples = past.samples;
    const now = samples.at(-1), before = samples.at(-2), window = samples.find((one) => one.at >= at - 30) ?? now;
    const of = (sample, name, labels = {}) => sum(sample.metrics, name, model ? {...labels, model_name: model} : labels);
    const rate = (name, labels) => (before ? Math.max(0, of(now, name, labels) - of(before, name, labels)) / (now.at - before.at) : null);
    const generated = rate("vllm:generation_tokens_total"), read = rate("vllm:prompt_tokens_total");
    const running = of(now, "vllm:num_requests_running"), waiting = of(now, "vllm:num_requests_waiting");
    const caches = now.metrics.get("vllm:kv_cache_usage_perc")?.filter((one) => !model || one.labels.model_name === model).map((one) => one.value) ?? [];
    const cache = caches.length ? Math.max(...caches) : 0;
    const late = (name, q) => (window === now ? null : quantile(histogram(now.metrics, name, model), histogram(window.metrics, name, model), q));
    take("speed", at, [generated, read]);
    take("queue", at, [running, waiting]);
    take("first", at, [late("vllm:time_to_first_token_seconds", 0.5), late("vllm:time_to_first_token_seconds", 0.95)]);
    take("between", at, [late("vllm:inter_token_latency_seconds", 0.5), late("vllm:inter_token_latency_seconds", 0.95)]);
    take("cache", at, [cache]);
    const http = (sample, refused) => (sample.metrics.get("ingot_http_requests_total") ?? []).filter((one) => (Number(one.labels.status) >= 400) === refused && one.labels.route !== "/metrics").reduce((all, one) => all + one.value, 0);
    take("requests", at, [false, true].map((refused) => (before ? Math.max(0, http(now, refused) - http(before, refused)) / (now.at - before.at) : null)));
    for (const [key, plot] of Object.entries(plots)) plot(past.points[key], at);
    const hits = of(now, "vllm:prefix_cache_hits_total"), queries = of(now, "vllm:prefix_cache_queries_total");
    const tile = (name, value) => h("div", {class: "tile"}, h("span", {}, name), h("strong", {}, value));
    replace(tiles, tile(t("live.up"), span(sum(now.metrics, "ingot_uptime_seconds"))), tile(t("live.speed"), generated === null ? "–" : rough(generated)), tile(t("live.running"), number(running)), tile(t("live.waiting"), number(waiting)),
      tile(t("live.cache"), percent(cache, 0)), tile(t("live.prefix"), queries ? percent(hits / queries, 0) : "–"), tile(t("live.tokens"), number(of(now, "vllm:generation_tokens_total"))));
    const routes = new Map();
    for (const one of now.metrics.get("ingot_http_requests_total") ?? []) {
      const row = routes.get(one.labels.route) ?? [0, 0];
      row[Number(one.labels.status) >= 400 ? 1 : 0] += one.value;
      routes.set(one.labels.route, row);
    }
    const rows = [...routes].filter(([route]) => !route.startsWith("/console") && route !== "/").sort((x, y) => y[1][0] + y[1][1] - x[1][0] - x[1][1]).slice(0, 12);
    replace(answers, table([t("live.route"), t("live.done"), t("live.refused")], rows.map(([route, [done, refused]]) => ({cells: [h("code", {}, route), number(done), number(refused)]})), t("live.routes")));
    const names = [...new Set((now.metrics.get("ingot_model_loaded") ?? []).map((one) => one.labels.model_name))];
    if (choose.options.length !== names.length + 1) replace(choose, h("option", {value: ""}, t("live.all")), names.map((name) => h("option", {value: name, selected: name === model}, name)));
  }

  let timer = 0, ended = false;
  async function tick() {
    try {
      const text = await getText("/metrics");
      if (ended) return;
      const at = performance.now() / 1000;
      past.samples.push({at, metrics: parse(text)});
      while (past.samples.length > 60) past.samples.shift();
      replace(fault);
      draw(at);
    } catch (error) {
      if (ended) return;
      replace(fault, trouble(error));
    }
    timer = setTimeout(tick, kEvery);
  }
  body.append(h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.live")), h("p", {class: "lead"}, t("live.lead"))), choose), fault, tiles, h("div", {class: "plots"}, Object.values(hosts)),
    h("section", {class: "card", "aria-labelledby": "routes"}, h("h2", {id: "routes"}, t("live.routes")), answers));
  await tick();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
