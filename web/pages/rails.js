// Try an AI's rails: what each says of a text, and how both errors move with the threshold.
import {card, get, models, post} from "../api.js";
import {bringIntoView, field, h, replace, say, select} from "../dom.js";
import {keep, kept} from "../keep.js";
import {empty, trouble} from "../notices.js";
import {frame, legend, lines} from "../plots.js";
import {number, percent, t} from "../words.js";
import {table} from "../card.js";

const kStages = ["input", "retrieved", "output"];

function verdict(one, text) {
  const rows = one.rails.map((rail) => ({cells: [t(`rail.${rail.rail}`), h("span", {class: `pill ${rail.failed || (rail.found && rail.mode === "block") ? "bad" : rail.found ? "warn" : "good"}`}, t(rail.failed ? "rails.failed" : rail.found ? `rails.found_${rail.mode}` : "rails.passed")),
    t(`mode.${rail.mode}`), rail.score === null ? "–" : number(rail.score, 3), rail.threshold === null ? "–" : number(rail.threshold, 3)]}));
  const reasons = [...new Set([one.reason, ...one.rails.map((rail) => rail.reason)])].filter(Boolean);
  return h("section", {class: "card"}, h("div", {class: "verdict"}, h("span", {class: `pill ${one.allowed ? "good" : "bad"}`}, t(one.allowed ? "rails.allowed" : "rails.stopped")), h("p", {class: "as-written"}, text.length > 300 ? `${text.slice(0, 300)}…` : text),
    reasons.map((reason) => h("p", {class: "note"}, reason)), one.ask ? h("p", {}, t("triage.ask", {name: one.ask})) : null, one.text ? h("p", {}, t("rails.goes_on"), " ", h("code", {}, one.text)) : null),
  rows.length ? table([t("rails.rail"), t("rails.verdict"), t("rails.mode"), t("rails.score"), t("rails.threshold")], rows, t("rails.verdict")) : h("p", {class: "note"}, t("rails.none_ran")), h("p", {class: "note"}, t("rails.took", {ms: number(one.ms, 2)})));
}

// Log-odds spread the ends, where thresholds lie.
const kEdge = 0.0001;
const odds = (p) => Math.log(Math.min(1 - kEdge, Math.max(kEdge, p)) / (1 - Math.min(1 - kEdge, Math.max(kEdge, p))));
const chance = (x) => 1 / (1 + Math.exp(-x));

function curve(host, on, off, packed) {
  const kept = (threshold) => on.filter((score) => score >= threshold).length / on.length;
  const stopped = (threshold) => off.filter((score) => score < threshold).length / off.length;
  const reach = odds(1 - kEdge);
  const slider = h("input", {type: "range", min: -reach, max: reach, step: 0.05, value: odds(packed), "aria-label": t("rails.threshold"), onInput: draw});
  const shown = h("output", {});
  const place = h("div", {class: "plot-place"});
  const figures = h("div", {class: "big-numbers", role: "status"});
  const series = [["a", "rails.kept", kept], ["b", "rails.off_stopped", stopped]].map(([tone, name, at]) => {
    const points = [];
    for (let x = -reach; x <= reach; x += reach / 80) points.push([x, at(chance(x))]);
    return {tone, name: t(name), points};
  });
  function draw() {
    const threshold = chance(Number(slider.value));
    shown.textContent = number(threshold, 3);
    slider.setAttribute("aria-valuetext", shown.textContent);
    const plot = frame({width: 640, height: 300, title: t("rails.curve"), x: {least: -reach, most: reach, ticks: [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999].map(odds), show: (x) => String(Number(chance(x).toFixed(3))), label: t("rails.threshold")}, y: {least: 0, most: 1, ticks: [0, 0.25, 0.5, 0.75, 1], show: (value) => percent(value, 0)}});
    lines(plot, series);
    for (const [at, tone] of [[odds(packed), "ideal"], [Number(slider.value), "mark"]]) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [name, value] of Object.entries({class: tone, x1: plot.across(at), x2: plot.across(at), y1: plot.top, y2: plot.bottom})) line.setAttribute(name, value);
      plot.svg.append(line);
    }
    replace(place, plot.svg);
    const of = (share, list) => t("rails.of", {hits: number(Math.round(share * list.length)), count: number(list.length)});
    replace(figures, h("div", {class: "a"}, h("small", {}, t("rails.kept")), h("strong", {}, percent(kept(threshold))), h("small", {}, of(kept(threshold), on))),
      h("div", {class: "b"}, h("small", {}, t("rails.off_stopped")), h("strong", {}, percent(stopped(threshold))), h("small", {}, of(stopped(threshold), off))));
  }
  draw();
  replace(host, figures, place, legend(series), h("div", {class: "slider"}, slider, shown),
    h("div", {class: "row"}, h("p", {class: "note"}, t("rails.packed", {threshold: number(packed, 3)})), h("button", {type: "button", class: "quiet", onClick: () => {
      slider.value = odds(packed);
      draw();
    }}, t("rails.back_to_packed"))));
}

export async function page(body) {
  const all = (await models()).filter((one) => one.kind !== "encoder" && one.kind !== "language");
  const head = (more) => h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.rails")), h("p", {class: "lead"}, t("rails.lead"))), more);
  if (!all.length) return body.append(head(null), empty(t("rails.none"), t("rails.none_text")));
  const names = all.map((one) => one.id);
  let name = names.includes(kept("rails.model")) ? kept("rails.model") : names[0];
  const picker = select(names.map((one) => [one, one]), name, {onChange: () => {
    name = picker.value;
    keep("rails.model", name);
    replace(out, empty(t("rails.empty"), t("rails.empty_text")));
    replace(drawing);
    about();
  }});

  const box = h("textarea", {rows: "6", placeholder: t("rails.placeholder"), onKeydown: (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  }});
  const stage = select(kStages.map((one) => [one, t(`rails.${one}`)]), "input", {onChange: () => {
    earlierField.hidden = stage.value !== "input";
    documentsField.hidden = stage.value !== "output";
  }});
  const earlier = h("textarea", {rows: "2"}), documents = h("textarea", {rows: "3"});
  const earlierField = field(t("rails.earlier"), earlier, t("rails.earlier_note")), documentsField = field(t("rails.documents"), documents, t("rails.documents_note"));
  documentsField.hidden = true;
  const each = h("input", {type: "checkbox", checked: true});
  const out = h("div", {class: "results", "aria-live": "polite"});
  const filled = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
  const check = (input, more = {}) => post("/v1/guard/check", {model: name, input, ...more});

  async function attempt() {
    const texts = each.checked ? filled(box.value) : [box.value.trim()].filter(Boolean);
    if (!texts.length) return box.focus();
    replace(out, h("div", {class: "waiting", "aria-label": t("shell.loading")}));
    try {
      const more = {stage: stage.value};
      if (stage.value === "input" && earlier.value.trim()) more.earlier = filled(earlier.value);
      if (stage.value === "output" && documents.value.trim()) more.documents = documents.value.split(/\n\s*\n/).filter(Boolean);
      const {data} = await check(texts, more);
      const passed = data.filter((one) => one.allowed).length;
      replace(out, texts.length > 1 ? h("p", {class: "note"}, t("rails.summary", {passed, count: texts.length})) : null, data.map((one, i) => verdict(one, texts[i])));
      bringIntoView(out);
      say(t("rails.summary", {passed, count: texts.length}));
    } catch (error) {
      replace(out, trouble(error, attempt));
    }
    counts();
  }
  const form = h("form", {onSubmit: (event) => {
    event.preventDefault();
    attempt();
  }}, field(t("rails.text"), box, t("triage.hint")), h("div", {class: "checks"}, h("label", {}, each, t("rails.each_line"))), field(t("rails.stage"), stage), earlierField, documentsField, h("div", {class: "row end"}, h("button", {class: "primary"}, t("rails.go"))));

  // The curve: texts that should pass, and texts that should not.
  const on = h("textarea", {rows: "6"}), off = h("textarea", {rows: "6", value: t("rails.off_examples")});
  const drawing = h("div", {class: "results", "aria-live": "polite"});
  async function drawCurve(event) {
    event?.preventDefault();
    const texts = [filled(on.value), filled(off.value)];
    if (!texts[0].length || !texts[1].length) return replace(drawing, trouble(new Error(t("rails.both"))));
    replace(drawing, h("div", {class: "waiting", "aria-label": t("shell.loading")}));
    try {
      const topics = [];
      for (const list of texts) topics.push((await check(list)).data.map((one) => one.rails.find((rail) => rail.rail === "topic")).filter((rail) => rail && rail.score !== null));
      if (!topics[0].length || !topics[1].length) return replace(drawing, trouble(new Error(t("rails.no_topic"))));
      curve(drawing, topics[0].map((rail) => rail.score), topics[1].map((rail) => rail.score), topics[0][0].threshold);
    } catch (error) {
      replace(drawing, trouble(error, drawCurve));
    }
  }

  const counted = h("div");
  async function counts() {
    try {
      const {data} = await get(`/v1/guard/counts/${encodeURIComponent(name)}`);
      replace(counted, data.length ? table([t("rails.rail"), t("rails.stage"), t("rails.checked"), t("rails.blocked"), t("rails.watched"), t("rails.masked"), t("rails.failed")],
        data.map((one) => ({cells: [t(`rail.${one.rail}`), t(`rails.${one.stage}`), number(one.checked), number(one.blocked), number(one.watched), number(one.masked), number(one.failed)]})), t("rails.counts")) : h("p", {class: "note"}, t("rails.no_counts")));
    } catch (error) {
      replace(counted, trouble(error));
    }
  }
  async function about() {
    on.value = "";
    counts();
    try {
      const known = await card(name);
      on.value = (known.examples ?? []).map((one) => one.input ?? one.messages?.findLast((message) => message.role === "user")?.content).filter(Boolean).map((text) => text.replace(/\s+/g, " ")).join("\n");
    } catch {
      // A key that may ask but not read.
    }
  }
  body.append(head(names.length > 1 ? field(t("triage.ai"), picker) : null),
    h("div", {class: "split"}, h("div", {class: "ask card"}, form), out),
    h("section", {class: "card", "aria-labelledby": "curve"}, h("h2", {id: "curve"}, t("rails.curve")), h("p", {class: "note"}, t("rails.curve_note")),
      h("form", {onSubmit: drawCurve}, h("div", {class: "columns"}, field(t("rails.on_texts"), on), field(t("rails.off_texts"), off)), h("div", {class: "row end"}, h("button", {class: "primary"}, t("rails.draw")))), drawing),
    h("section", {class: "card", "aria-labelledby": "counts"}, h("h2", {id: "counts"}, t("rails.counts")), counted));
  replace(out, empty(t("rails.empty"), t("rails.empty_text")));
  await about();
}
