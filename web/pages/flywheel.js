// What came in, what was kept and why not the rest, champion against challenger, every version and the way back.
import {get, may, models, post} from "../api.js";
import {h, icon, replace, select} from "../dom.js";
import {keep, kept} from "../keep.js";
import {confirmed, empty, notice, trouble} from "../notices.js";
import {intervals} from "../plots.js";
import {bytes, date, number, percent, span, t} from "../words.js";
import {table} from "../card.js";

const section = (id, title, ...content) => h("section", {class: "card", "aria-labelledby": id}, h("h2", {id}, title), content);
const tile = (name, value) => h("div", {class: "tile"}, h("span", {}, name), h("strong", {}, value));
const short = (hash) => h("code", {title: hash}, hash.slice(0, 12));
const points = (value) => `${value > 0 ? "+" : ""}${number(100 * value, 2)}`;

// How many of a whole, by reason.
function reasons(title, counts, whole) {
  const rows = Object.entries(counts ?? {}).sort((a, b) => b[1] - a[1]);
  if (!rows.length) return null;
  return h("div", {}, h("h3", {}, title), h("ul", {class: "ranking"}, rows.map(([reason, count]) => {
    const bar = h("span", {class: "bar", "aria-hidden": "true"}, h("i", {class: "b"}));
    bar.firstChild.style.setProperty("--share", count / Math.max(1, whole));
    return h("li", {class: "candidate"}, h("span", {class: "name"}, reason), h("span", {class: "share"}, number(count)), bar);
  })));
}

function agreement(one) {
  return one?.known ? t("fly.agrees", {share: percent(one.share, 0), low: percent(one.low, 0), high: percent(one.high, 0), count: number(one.known)}) : "–";
}

function judged(turn) {
  if (!turn?.judge?.comparisons?.length) return null;
  const {comparisons, fixed_cases: cases, ms, bytes: size, losses} = turn.judge;
  const rows = comparisons.map((one) => ({cells: [`${one.measure}, ${one.set}`, number(one.records), percent(one.champion), percent(one.challenger), h("span", {class: one.lost ? "pill bad" : one.low > 0 ? "pill good" : ""}, `${points(one.gain)} (${points(one.low)} … ${points(one.high)})`)]}));
  if (cases?.cases) rows.push({cells: [t("fly.cases"), number(cases.cases), number(cases.champion), number(cases.challenger), number(cases.challenger - cases.champion)]});
  if (ms?.champion) rows.push({cells: [t("fly.speed"), "", span(ms.champion / 1000), span(ms.challenger / 1000), ""]});
  if (size?.challenger) rows.push({cells: [t("ais.size"), "", bytes(size.champion), bytes(size.challenger), ""]});
  return section("fly-judge", t("fly.judge"), h("p", {class: "note"}, t("fly.judge_note")),
    intervals(comparisons.map((one) => ({name: `${one.measure}, ${one.set}`, mean: one.gain, low: one.low, high: one.high, tone: one.lost ? "c" : "a"})), (row) => points(row.mean)),
    table([t("fly.measure"), t("fly.records"), t("fly.champion"), t("fly.challenger"), t("fly.gain")], rows, t("fly.judge")), losses?.length ? notice("bad", losses.map((line) => h("p", {}, line))) : null);
}

export async function page(body) {
  const all = (await models()).filter((one) => ["triage", "classify", "chat"].includes(one.kind));
  const head = (more) => h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.flywheel")), h("p", {class: "lead"}, t("fly.lead"))), more);
  if (!all.length) return body.append(head(null), empty(t("fly.none"), t("fly.none_text")));
  const names = all.map((one) => one.id), kinds = Object.fromEntries(all.map((one) => [one.id, one.kind])), admin = await may("admin");
  const picker = select(names.map((one) => [one, one]), names.includes(kept("fly.model")) ? kept("fly.model") : names[0], {"aria-label": t("triage.ai"), onChange: () => {
    keep("fly.model", picker.value);
    replace(said);
    refresh();
  }});
  const out = h("div", {class: "results", "aria-live": "polite"}), said = h("div", {role: "status"});
  let timer = 0, ended = false, expecting = 0;  // a turn that has begun may take a moment to show
  let newest = "", before;                      // of the history; before: as it was when a turn was asked for

  async function act(action, more, good) {
    try {
      const answer = await post(`/v1/fly/${encodeURIComponent(picker.value)}`, {action, ...more});
      if (action === "turn") expecting = performance.now() + 5000, before = newest;
      replace(said, good ? notice("good", h("p", {}, good(answer))) : null);
    } catch (error) {
      replace(said, trouble(error));
    }
    refresh();
  }

  function held(state) {
    const list = (state.left_out ?? []).filter((one) => one.held);
    if (!list.length || !admin) return null;
    const ids = list.map((one) => one.id);
    const decide = (action, some) => act(action, {ids: some}, () => t(`fly.${action}ed`, {count: some.length}));
    return section("fly-held", t("fly.held"), h("p", {class: "note"}, t("fly.held_note")),
      h("div", {class: "row"}, h("button", {type: "button", onClick: () => decide("accept", ids)}, icon("check"), t("fly.accept_all")), h("button", {type: "button", onClick: () => decide("reject", ids)}, icon("close"), t("fly.reject_all"))),
      table([t("fly.record"), t("fly.reason"), ""], list.slice(0, 50).map((one) => ({cells: [h("div", {title: one.id}, h("strong", {}, one.label || one.component || one.better || one.id), h("small", {class: "block"}, [one.person || one.source, (one.text ?? "").slice(0, 300)].filter(Boolean).join(": "))), one.reason, h("span", {class: "row"}, h("button", {type: "button", class: "quiet", "aria-label": `${t("fly.accept")} ${one.id}`, onClick: () => decide("accept", [one.id])}, t("fly.accept")),
        h("button", {type: "button", class: "quiet", "aria-label": `${t("fly.reject")} ${one.id}`, onClick: () => decide("reject", [one.id])}, t("fly.reject")))]})), t("fly.held")));
  }

  function draw(state) {
    const dropped = Object.values(state.dropped ?? {}).reduce((a, b) => a + b, 0), holding = Object.values(state.held ?? {}).reduce((a, b) => a + b, 0);
    const last = state.last_turn;
    const failed = state.history?.[0]?.kind === "failed" && !state.turning;
    newest = JSON.stringify(state.history?.[0] ?? "");
    if (state.turning || (before !== undefined && newest !== before)) {
      replace(said);
      before = undefined;
    }
    turn.disabled = state.turning;
    back.disabled = (state.champion?.parent ?? null) === null;
    replace(out, state.turning ? notice("warn", h("p", {}, t("fly.turning"))) : null,
      h("div", {class: "tiles"}, tile(t("fly.collected"), number(state.collected)), tile(t("fly.waiting"), number(state.waiting)), tile(t("fly.kept"), number(state.kept ?? 0)), tile(t("fly.dropped"), number(dropped)), tile(t("fly.held_count"), number(holding))),
      last ? section("fly-last", t("fly.last"), h("p", {}, last.verdict), last.cost ? h("p", {class: "note"}, t("fly.cost", {time: span(last.cost.seconds), cpu: span(last.cost.cpu_seconds), memory: bytes(last.cost.peak_mib * 1048576)})) : null,
        h("div", {class: "columns narrow"}, reasons(t("fly.dropped"), state.dropped, dropped), reasons(t("fly.held_count"), state.held, holding))) : state.turning || failed ? null : empty(t("fly.quiet"), t(kinds[picker.value] === "chat" ? "fly.quiet_chat" : "fly.quiet_text")),
      failed ? notice("bad", h("p", {}, state.history[0].report?.verdict)) : null,
      state.candidate ? section("fly-trial", t("fly.trial"), h("p", {}, t("fly.trial_text", {version: state.candidate.version, share: percent(state.candidate.share, 0)})),
        state.candidate.beside ? h("p", {class: "note"}, t("fly.beside", {asked: number(state.candidate.beside.asked), same: number(state.candidate.beside.same)})) : null,
        admin ? h("div", {class: "row"}, h("button", {type: "button", class: "primary", onClick: () => act("promote")}, t("fly.promote")), h("button", {type: "button", onClick: () => act("withdraw")}, t("fly.withdraw"))) : null) : null,
      judged(last), held(state),
      section("fly-versions", t("fly.versions"), table([t("fly.version"), t("card.hash"), t("fly.origin"), t("fly.made"), t("fly.agreement"), ""], [...state.versions].reverse().map((one) => ({strong: one.version === state.champion?.version,
        cells: [number(one.version), short(one.hash), one.origin, date(one.created), agreement(one.agreement), one.version === state.champion?.version ? t("fly.champion") : one.file ? "" : t("fly.gone")]})), t("fly.versions"))),
      state.history?.length ? section("fly-history", t("fly.history"), table([t("fly.when"), t("fly.what"), t("fly.version"), t("fly.words")], state.history.map((one) => ({cells: [date(one.time), t(`event.${one.kind}`), one.version >= 0 ? number(one.version) : "", one.report?.verdict ?? one.report?.reason ?? one.report?.why ?? ""]})), t("fly.history"))) : null);
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      const state = await get(`/v1/fly/${encodeURIComponent(picker.value)}`);
      if (ended) return;
      draw(state);
      if (state.turning || performance.now() < expecting) timer = setTimeout(refresh, 1500);
    } catch (error) {
      if (error.status === 409) turn.disabled = back.disabled = true;  // nothing is kept: there is nothing to learn from or to go back to
      if (!ended) replace(out, error.status === 409 ? empty(t("keys.no_data"), error.message) : trouble(error, refresh));
    }
  }
  const turn = h("button", {type: "button", class: "primary", onClick: () => act("turn", {}, () => t("fly.begun"))}, icon("flywheel"), t("fly.turn"));
  const back = h("button", {type: "button", onClick: async () => {
    if (await confirmed(t("card.roll_back"), t("card.roll_back_text", {name: picker.value}), t("card.roll_back"))) await act("rollback", {}, (report) => t("card.rolled_back", {hash: report.to?.hash?.slice(0, 16) ?? ""}));
  }}, icon("back"), t("card.roll_back"));
  body.append(head(h("div", {class: "row"}, names.length > 1 ? picker : null, admin ? [turn, back] : h("p", {class: "note"}, t("fly.admin")))), said, out);
  await refresh();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
