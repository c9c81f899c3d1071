// The AIs that are served, and the report card of each.
import {card, get, may, post} from "../api.js";
import {h, icon, replace} from "../dom.js";
import {confirmed, empty, notice, trouble} from "../notices.js";
import {bytes, date, t} from "../words.js";
import {drawCard} from "../card.js";

async function list(body) {
  const [{modelInfo}, {data}] = await Promise.all([get("/v1/metadata"), get("/v1/models")]);
  body.append(h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.ais")), h("p", {class: "lead"}, t("ais.lead")))));
  if (!modelInfo.length) return body.append(empty(t("ais.none"), t("ais.none_text")));
  body.append(h("ul", {class: "cards"}, modelInfo.map((one) => {
    const more = data.find((model) => model.id === one.shortName) ?? {};
    return h("li", {}, h("a", {class: "card ai-card", href: `#/ais/${encodeURIComponent(one.shortName)}`},
      h("header", {}, h("h2", {}, one.shortName), h("span", {class: `pill ${one.loaded || one.kind === "triage" || one.kind === "classify" ? "good" : ""}`}, t(one.loaded || one.kind === "triage" || one.kind === "classify" ? "ais.loaded" : "ais.waits"))),
      h("dl", {class: "facts"},
        h("div", {}, h("dt", {}, t("ais.kind")), h("dd", {}, t(`kind.${one.kind}`))),
        h("div", {}, h("dt", {}, t("ais.memory")), h("dd", {}, one.bytes ? bytes(one.bytes) : "–")),
        more.max_model_len ? h("div", {}, h("dt", {}, t("ais.context")), h("dd", {}, t("chat.tokens", {count: more.max_model_len}))) : null,
        more.created ? h("div", {}, h("dt", {}, t("ais.since")), h("dd", {}, date(more.created))) : null,
        one.hash ? h("div", {}, h("dt", {}, t("card.hash")), h("dd", {}, h("code", {}, one.hash.slice(0, 16)))) : null)));
  })));
}

async function one(body, name) {
  const known = await card(name);
  const said = h("div", {role: "status"});
  const back = async () => {
    if (!await confirmed(t("card.roll_back"), t("card.roll_back_text", {name}), t("card.roll_back"))) return;
    try {
      const now = await post("/v1/rollback", {model: name});
      replace(said, notice("good", h("p", {}, t("card.rolled_back", {hash: now.ai.slice(0, 16)}))));
    } catch (error) {
      replace(said, trouble(error));
    }
  };
  body.append(h("a", {class: "back", href: "#/ais"}, icon("back"), t("nav.ais")), said, drawCard(known, known.versions > 1 && await may("admin") ? back : null));
}

export async function page(body, name) {
  if (name) await one(body, name);
  else await list(body);
}
