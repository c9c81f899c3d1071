// Paste a bug, see who should have it and why, say whether that is right.
import {card, models, post} from "../api.js";
import {bringIntoView, field, h, iconButton, replace, say, select} from "../dom.js";
import {keep, kept} from "../keep.js";
import {empty, notice, trouble} from "../notices.js";
import {percent, t} from "../words.js";

const kSort = ["triage", "classify"];

// One candidate: a bar as long as its probability, and a button that says it is the right one.
function candidate(one, first, choose) {
  const bar = h("span", {class: "bar", "aria-hidden": "true"}, h("i"));
  bar.firstChild.style.setProperty("--share", one.p);
  return h("li", {class: first ? "candidate first" : "candidate"}, h("span", {class: "name"}, one.name), bar, h("span", {class: "share"}, percent(one.p)),
    choose ? iconButton("check", t("triage.choose", {name: one.name}), () => choose(one.name)) : null);
}

const kFirst = 5;  // the others are behind a line

function ranking(title, list, choose, id) {
  const rows = list.map((one, i) => candidate(one, i === 0, choose));
  return h("section", {class: "card", "aria-labelledby": id}, h("h2", {id}, title), rows.length ? h("ol", {class: "ranking"}, rows.slice(0, kFirst)) : h("p", {class: "note"}, t("triage.nobody")),
    rows.length > kFirst ? h("details", {}, h("summary", {}, t("triage.more", {count: rows.length - kFirst})), h("ol", {class: "ranking", start: kFirst + 1}, rows.slice(kFirst))) : null);
}

function reasons(why) {
  return [
    why.words.length ? h("section", {class: "card", "aria-labelledby": "why-words"}, h("h2", {id: "why-words"}, t("triage.words")), h("p", {class: "note"}, t("triage.words_note")),
      h("ul", {class: "chips"}, why.words.map((word) => h("li", {class: "chip"}, word)))) : null,
    why.similar.length ? h("section", {class: "card", "aria-labelledby": "why-similar"}, h("h2", {id: "why-similar"}, t("triage.similar")),
      h("ul", {class: "similar"}, why.similar.map((bug) => h("li", {}, h("p", {class: "as-written"}, bug.text), h("p", {class: "note"}, h("code", {}, bug.id), " · ", bug.engineer, bug.component ? ` · ${bug.component}` : ""))))) : null,
  ];
}

export async function page(body) {
  const all = (await models()).filter((one) => kSort.includes(one.kind));
  if (!all.length) {
    body.append(h("h1", {}, t("nav.triage")), empty(t("triage.none"), t("triage.none_text"), h("pre", {tabindex: "0"}, h("code", {}, "ingot build recipes/triage --source csv:bugs.csv -o triage.ingot\ningot serve triage.ingot"))));
    return;
  }
  const names = all.map((one) => one.id);
  let name = names.includes(kept("triage.model")) ? kept("triage.model") : names[0];
  let asked = 0;
  const kind = () => all.find((one) => one.id === name).kind;

  const purpose = h("p", {class: "lead"});
  const examples = h("ul", {class: "suggestions"});
  const box = h("textarea", {rows: "8", class: "tall", placeholder: t("triage.placeholder"), onKeydown: (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  }});
  const go = h("button", {class: "primary"}, t("triage.go"));
  const form = h("form", {onSubmit: (event) => {
    event.preventDefault();
    sort();
  }}, field(t("triage.text"), box, t("triage.hint")), h("div", {class: "row end"}, go));
  const out = h("div", {class: "results", "aria-live": "polite"});

  async function sort() {
    const text = box.value.trim();
    if (!text) return box.focus();
    const mine = ++asked;
    go.disabled = true;
    replace(out, h("div", {class: "waiting", "aria-label": t("shell.loading")}));
    try {
      const answer = await post("/v1/classify", {model: name, input: text});
      if (mine === asked) show(answer, text);
    } catch (error) {
      if (mine === asked) replace(out, trouble(error, sort));
    }
    go.disabled = false;
  }

  function show(answer, text) {
    const one = answer.data[0];
    const triage = kind() === "triage";
    const list = triage ? one.engineers : one.labels;
    if (one.guard && !one.guard.allowed) {
      replace(out, notice("warn", h("h2", {}, t("triage.declined")), h("p", {}, one.guard.reason), one.guard.ask ? h("p", {}, t("triage.ask", {name: one.guard.ask})) : null), correction(answer, text, triage, "", ""));
      return;
    }
    const fix = correction(answer, text, triage, list[0]?.name ?? "", one.components?.[0]?.name ?? "", list, one.components);
    const choose = (who) => fix.choose(who);
    replace(out,
      one.abstain ? notice("warn", h("p", {}, t(triage ? "triage.unsure" : "triage.unsure_label"))) : notice("good", h("p", {}, t(triage ? "triage.sure" : "triage.sure_label", {name: list[0].name, share: percent(list[0].p, 0)}))),
      h("div", {class: "columns narrow"}, ranking(t(triage ? "triage.engineers" : "triage.labels"), list, choose, "rank-first"), triage && one.components.length ? ranking(t("triage.components"), one.components, (component) => fix.component(component), "rank-second") : null),
      fix, triage ? reasons(one.why) : null);
    bringIntoView(out);
    say(list.length ? t("triage.found", {name: list[0].name, share: percent(list[0].p, 0)}) : t("triage.nobody"));
  }

  // Says what is right: one word confirms, another corrects. Kept before it is acknowledged.
  function correction(answer, text, triage, best, component, people = [], parts = []) {
    const known = (list, id) => h("datalist", {id}, list.map((one) => h("option", {value: one.name})));
    const who = h("input", {type: "text", value: best, list: "known-people", autocomplete: "off", required: true});
    const part = h("input", {type: "text", value: component, list: "known-parts", autocomplete: "off"});
    const said = h("div", {role: "status"});
    const button = h("button", {class: "primary"}, t("triage.send"));
    let told = "";  // what is kept already: saying it twice adds nothing
    const send = async (event) => {
      event?.preventDefault();
      const right = who.value.trim();
      if (!right) return who.focus();
      const label = triage ? {engineer: right, ...(part.value.trim() ? {component: part.value.trim()} : {})} : right;
      if (told === JSON.stringify(label)) return bringIntoView(said);
      button.disabled = true;
      try {
        const kept = await post("/v1/feedback", {id: answer.id, label});
        replace(said, notice("good", h("p", {}, t(right === best ? "triage.confirmed" : "triage.corrected", {name: right})), h("p", {class: "note"}, t("triage.record"), " ", h("code", {}, kept.id))));
        told = JSON.stringify(label);
        bringIntoView(said);
      } catch (error) {
        replace(said, trouble(error, error.status === 404 ? null : send));
      }
      button.disabled = false;
    };
    const whole = h("section", {class: "card correction", "aria-labelledby": "correct"}, h("h2", {id: "correct"}, t("triage.correct")), h("p", {class: "note"}, t("triage.correct_note")),
      h("form", {class: "inline-form", onSubmit: send}, field(t(triage ? "triage.engineer" : "triage.label"), who), known(people, "known-people"), triage ? [field(t("triage.component"), part), known(parts, "known-parts")] : null, button), said);
    whole.choose = (name) => {
      who.value = name;
      send();
    };
    whole.component = (name) => {
      part.value = name;
      part.focus();
    };
    return whole;
  }

  async function about() {
    replace(examples);
    purpose.textContent = "";
    try {
      const known = await card(name);
      purpose.textContent = known.report.purpose ? t("triage.purpose", {name, purpose: known.report.purpose}) : "";
      replace(examples, known.examples.filter((one) => one.input).map((one) => h("li", {}, h("button", {type: "button", onClick: () => {
        box.value = one.input;
        sort();
      }}, one.input.length > 110 ? `${one.input.slice(0, 110)}…` : one.input))));
    } catch {
      // A key that may classify but not read.
    }
  }
  const picker = select(names.map((one) => [one, one]), name, {onChange: () => {
    name = picker.value;
    keep("triage.model", name);
    replace(out);
    about();
  }});
  body.append(h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.triage")), purpose), names.length > 1 ? field(t("triage.ai"), picker) : null),
    h("div", {class: "split"}, h("div", {class: "ask card"}, form, h("details", {open: true}, h("summary", {}, t("triage.examples")), examples)), out));
  replace(out, empty(t("triage.empty"), t("triage.empty_text")));
  await about();
}
