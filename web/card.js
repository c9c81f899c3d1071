// A report card: what an AI is for, how it was judged, what keeps it to its subject, where it came from, who vouches for it.
import {copyText, h, icon, replace} from "./dom.js";
import {calibration, frame, intervals, legend, lines} from "./plots.js";
import {bytes, date, number, percent, t} from "./words.js";

const section = (id, title, ...content) => h("section", {class: "card", "aria-labelledby": id}, h("h2", {id}, title), content);
const facts = (rows) => h("dl", {class: "facts"}, rows.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

export function table(head, rows, caption) {
  return h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption}, h("table", {}, h("caption", {class: "unseen"}, caption), h("thead", {}, h("tr", {}, head.map((cell) => (cell ? h("th", {scope: "col"}, cell) : h("td"))))),
    h("tbody", {}, rows.map((row) => h("tr", {class: row.strong ? "strong" : null}, row.cells.map((cell, i) => h(i ? "td" : "th", i ? {} : {scope: "row"}, cell)))))));
}

const shortHash = (hash) => (hash ? h("code", {title: hash}, `${hash.slice(0, 16)}…`) : "");

function copied(text) {
  const button = h("button", {type: "button", class: "quiet", "aria-label": t("chat.copy"), onClick: async () => {
    if (await copyText(text)) replace(button, icon("check"));
  }}, icon("copy"));
  return [h("code", {class: "long"}, text), button];
}

// How well the kinds of AI are judged differs; each figure stands beside the plain look-ups on the same held-out data.
function triageFigures(e) {
  const row = (name, one, strong) => ({strong, cells: [name, ...["top1", "top5", "top10", "mrr"].map((key) => (one.engineer ? (key === "mrr" ? number(one.engineer.mrr, 3) : percent(one.engineer[key])) : "–")), one.component ? percent(one.component.top1) : "–"]});
  const rows = [row(t("card.this"), e, true)];
  if (e.without?.llama && e.without.llama.engineer?.mrr !== e.engineer?.mrr) rows.push(row(t("card.without_model"), e.without.llama));
  for (const name of ["sparse", "last_toucher", "last_toucher_component_given", "majority"]) if (e.baselines?.[name]) rows.push(row(t(`card.baseline.${name}`), e.baselines[name]));
  return table(["", t("card.top", {count: 1}), t("card.top", {count: 5}), t("card.top", {count: 10}), t("card.mrr"), t("card.component")], rows, t("card.evaluation"));
}

function classifyFigures(e) {
  const rows = [{strong: true, cells: [t("card.this"), percent(e.accuracy), percent(e.f1_weighted), percent(e.f1_macro)]}];
  if (e.baselines?.majority) rows.push({cells: [t("card.baseline.majority_label"), percent(e.baselines.majority.accuracy), "–", "–"]});
  return table(["", t("card.accuracy"), t("card.f1_weighted"), t("card.f1_macro")], rows, t("card.evaluation"));
}

function chatFigures(e) {
  const row = (name, one, strong) => ({strong, cells: [name, one.rouge_l === undefined ? "–" : number(one.rouge_l, 3), one.perplexity ? number(one.perplexity, 2) : "–"]});
  const rows = [row(t("card.this"), e.after, true), row(t("card.base"), e.before)];
  if (e.baselines?.first_line) rows.push(row(t("card.baseline.first_line"), e.baselines.first_line));
  return table(["", "ROUGE-L", t("card.perplexity")], rows, t("card.evaluation"));
}

function evaluation(report) {
  const e = report.evaluation;
  if (!e) return null;
  const figures = e.engineer ? triageFigures(e) : e.accuracy !== undefined ? classifyFigures(e) : e.after ? chatFigures(e) : null;
  const notes = [e.records !== undefined ? t("card.judged", {count: number(e.records)}) : "", e.unseen ? t("card.unseen", {count: number(e.unseen)}) : ""].filter(Boolean);
  const abstain = e.abstain ? h("p", {class: "note"}, t("card.abstain", {share: percent(e.abstain.coverage, 0), right: percent(e.abstain.accuracy, 0)})) : null;
  return section("card-evaluation", t("card.evaluation"), h("p", {class: "note"}, notes.join(" ")), figures, abstain);
}

function curves(report) {
  const e = report.evaluation ?? {};
  const out = [];
  if (e.calibration?.length) {
    out.push(section("card-calibration", t("card.calibration"), h("p", {class: "note"}, t("card.calibration_note", {error: number(e.ece, 3)})), h("div", {class: "plot-place"}, calibration(e.calibration, {
      title: t("card.calibration"), percent: (value) => percent(value, 0), said: t("card.said"), was: t("card.was"),
      bin: (bin) => t("card.bin", {said: percent(bin.confidence, 0), was: percent(bin.right, 0), count: number(bin.cases)})}))));
  } else if (e.ece !== undefined) {
    out.push(section("card-calibration", t("card.calibration"), h("p", {}, t("card.ece", {error: number(e.ece, 3)})), h("p", {class: "note"}, t("card.no_curve"))));
  }
  if (e.learning?.length > 1) {
    const series = [["top1", "a"], ["top5", "b"]].map(([key, tone]) => ({name: t("card.top", {count: key.slice(3)}), tone, points: e.learning.map((one) => [one.records, one.engineer[key]])}));
    const most = Math.max(...e.learning.map((one) => one.records));
    const plot = frame({width: 380, height: 340, left: 54, right: 24, title: t("card.learning"), x: {least: 0, most, show: (value) => number(value), label: t("card.records")}, y: {least: 0, most: 1, ticks: [0, 0.25, 0.5, 0.75, 1], show: (value) => percent(value, 0)}});
    out.push(section("card-learning", t("card.learning"), h("p", {class: "note"}, t("card.learning_note")), h("div", {class: "plot-place"}, lines(plot, series, {marks: true})), legend(series)));
  }
  return out.length ? h("div", {class: "columns"}, out) : null;
}

function signals(report) {
  const rows = (report.signals ?? []).filter((one) => one.of === "engineer").map((one) => ({name: one.signal, mean: one.gain, low: one.low, high: one.high, tone: one.kept ? "a" : "c"}));
  if (!rows.length) return null;
  return section("card-signals", t("card.signals"), h("p", {class: "note"}, t("card.signals_note")), intervals(rows, (row) => `${row.mean > 0 ? "+" : ""}${number(100 * row.mean, 1)} (${number(100 * row.low, 1)} … ${number(100 * row.high, 1)})`));
}

const rate = (one) => (one ? h("span", {class: "rate"}, h("strong", {}, percent(one.share)), h("small", {}, t("card.interval", {low: percent(one.low), high: percent(one.high), count: number(one.texts)}))) : "–");

function rails(report) {
  const guard = report.guard;
  if (!guard) return null;
  const order = ["topic", "injection", "private_data", "grounding", "words", "length", "language", "repetition"];
  const names = order.filter((name) => guard[name]);
  const rows = names.map((name) => {
    const one = guard[name];
    const mode = [one.mode, one.retrieved ? `${t("rails.retrieved")}: ${t(`mode.${one.retrieved}`)}` : "", one.output ? `${t("rails.output")}: ${t(`mode.${one.output}`)}` : ""];
    return {cells: [t(`rail.${name}`), h("span", {}, h("span", {class: `pill ${one.mode === "off" ? "" : "good"}`}, t(`mode.${one.mode}`)), mode.slice(1).filter(Boolean).map((text) => h("small", {class: "block"}, text))),
      rate(one.off_topic_stopped), one.false_alarms ? [h("small", {}, t("card.false_alarms")), rate(one.false_alarms)] : one.found_in ? [h("small", {}, t("card.found_in")), rate(one.found_in)] : rate(one.on_topic_kept), one.ms_added ? `${number(one.ms_added.median, 2)} / ${number(one.ms_added.p99, 2)}` : "–"]};
  });
  return section("card-rails", t("card.rails"), h("p", {class: "note"}, t("card.rails_note")), table([t("rails.rail"), t("rails.mode"), t("card.stopped"), t("card.kept"), t("card.ms")], rows, t("card.rails")));
}

function origin(known) {
  const p = known.provenance ?? {};
  const inputs = [...(p.train ?? []).map((one) => ({...one, use: t("card.trained_on")})), ...(p.test ?? []).map((one) => ({...one, use: t("card.judged_on")}))];
  return section("card-origin", t("card.provenance"), facts([[t("card.built_by"), p.ingot ? `ingot ${p.ingot}` : ""], [t("card.base"), p.base], [t("card.map"), p.map], [t("card.hash"), copied(known.ai)],
    [t("card.signature"), known.signer ? [h("span", {class: "pill good"}, t("card.signed")), " ", copied(known.signer)] : h("span", {class: "pill"}, t("card.unsigned"))]]),
  inputs.length ? table([t("card.use"), t("card.source"), "SHA-256"], inputs.map((one) => ({cells: [one.use, h("code", {}, one.source ?? one.path ?? ""), shortHash(one.sha256)]})), t("card.provenance")) : null,
  h("details", {}, h("summary", {}, t("card.members", {count: known.members.length})), table([t("card.member"), t("ais.size"), "SHA-256"], known.members.map((one) => ({cells: [h("code", {}, one.name), bytes(one.bytes), shortHash(one.sha256)]})), t("card.member"))),
  known.recipe ? h("details", {}, h("summary", {}, t("card.recipe")), h("pre", {tabindex: "0"}, h("code", {}, known.recipe))) : null);
}

export function drawCard(known, rollBack) {
  const report = known.report ?? {};
  return h("div", {class: "report"},
    h("header", {class: "page-head"}, h("div", {}, h("h1", {}, known.name), h("p", {class: "lead"}, report.purpose ? t("card.purpose", {purpose: report.purpose}) : t(`kind.${known.kind}`)),
      h("p", {class: "row"}, h("span", {class: "pill"}, t(`kind.${known.kind}`)), h("span", {class: `pill ${known.loaded ? "good" : ""}`}, t(known.loaded ? "ais.loaded" : "ais.waits")), h("span", {class: `pill ${known.signer ? "good" : ""}`}, t(known.signer ? "card.signed" : "card.unsigned")),
        known.versions > 1 ? h("span", {class: "pill"}, t("card.versions", {count: known.versions})) : null)),
    rollBack ? h("button", {type: "button", onClick: rollBack}, icon("again"), t("card.roll_back")) : null),
    known.report ? [evaluation(report), curves(report), rails(report), signals(report), origin(known),
      (report.notes ?? []).length ? section("card-notes", t("card.notes"), h("ul", {}, report.notes.map((note) => h("li", {}, note)))) : null]
      : section("card-plain", t("card.plain"), h("p", {class: "note"}, t("card.plain_text")), facts([[t("ais.memory"), bytes(known.bytes)], [t("ais.context"), known.context ? t("chat.tokens", {count: number(known.context)}) : ""], [t("ais.since"), date(known.created)], [t("card.converses"), known.converses === undefined ? "" : t(known.converses ? "card.yes" : "card.no")], [t("card.hash"), known.ai ? copied(known.ai) : ""]])));
}
