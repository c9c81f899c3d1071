// Who may call, how much of it they used today; make a key, revoke one.
import {get, may, post, remove} from "../api.js";
import {copyText, field, h, icon, replace} from "../dom.js";
import {confirmed, empty, notice, trouble} from "../notices.js";
import {day, number, t} from "../words.js";
import {table} from "../card.js";

const kScopes = ["infer", "read", "feedback", "chat", "embed", "classify", "admin"];
const kUsual = ["infer", "read", "feedback"];  // of a person: ask, look, correct

function limits(key) {
  const said = [];
  if (key.requests_per_minute) said.push(t("keys.requests_minute", {count: number(key.requests_per_minute)}));
  if (key.tokens_per_minute) said.push(t("keys.tokens_minute", {count: number(key.tokens_per_minute)}));
  if (key.tokens_per_day) said.push(t("keys.tokens_day", {count: number(key.tokens_per_day)}));
  if (key.tokens_per_month) said.push(t("keys.tokens_month", {count: number(key.tokens_per_month)}));
  return said.length ? said.map((line) => h("small", {class: "block"}, line)) : "–";
}

function today(key) {
  if (!key.tokens_per_day) return number(key.tokens_today);
  const bar = h("span", {class: "bar", "aria-hidden": "true"}, h("i", {class: key.tokens_today >= key.tokens_per_day ? "bad" : ""}));
  bar.firstChild.style.setProperty("--share", Math.min(1, key.tokens_today / key.tokens_per_day));
  return h("span", {class: "share-cell"}, bar, t("keys.of_day", {used: number(key.tokens_today), most: number(key.tokens_per_day)}));
}

export async function page(body) {
  const head = h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.keys")), h("p", {class: "lead"}, t("keys.lead"))));
  if (!await may("admin")) return body.append(head, empty(t("shell.admin"), t("shell.admin_text")));
  const list = h("div"), made = h("div", {role: "status"});
  let first = false;

  async function refresh() {
    try {
      const {data} = await get("/v1/keys");
      first = data.length === 0;
      warning.hidden = !first;
      if (first) boxes.admin.checked = true;
      const revoke = (key) => h("button", {type: "button", class: "quiet", "aria-label": t("keys.revoke_name", {name: key.name}), onClick: async () => {
        if (!await confirmed(t("keys.revoke_name", {name: key.name}), t("keys.revoke_text"), t("keys.revoke"))) return;
        try {
          await remove(`/v1/keys/${encodeURIComponent(key.name)}`);
          await refresh();
        } catch (error) {
          replace(made, trouble(error));
        }
      }}, icon("remove"), t("keys.revoke"));
      replace(list, first ? empty(t("keys.none"), t("keys.none_text")) : table([t("keys.name"), t("keys.begins"), t("keys.state"), t("keys.scopes"), t("keys.limits"), t("keys.today"), t("keys.until"), ""], data.map((key) => ({cells: [key.name, h("code", {}, `${key.hint}…`),
        h("span", {class: `pill ${key.state === "works" ? "good" : "bad"}`}, t(`keys.${key.state}`)), key.scopes.join(", "), limits(key), today(key), key.expires ? day(key.expires) : t("keys.never"), key.state === "works" ? revoke(key) : ""]})), t("nav.keys")));
    } catch (error) {
      replace(list, error.code === "not_recorded" ? empty(t("keys.no_data"), t("keys.no_data_text")) : trouble(error, refresh));
    }
  }

  const boxes = Object.fromEntries(kScopes.map((scope) => [scope, h("input", {type: "checkbox", checked: kUsual.includes(scope)})]));
  const name = h("input", {type: "text", required: true, maxlength: "100", autocomplete: "off"}), rate = h("input", {type: "number", min: "1", inputmode: "numeric"}), quota = h("input", {type: "number", min: "1", inputmode: "numeric"});
  const days = h("input", {type: "number", min: "1", max: "100000", inputmode: "numeric"}), priority = h("input", {type: "number", min: "-100", max: "100", value: "0"});
  const warning = h("div", {hidden: true}, notice("warn", h("p", {}, t("keys.first"))));
  const form = h("form", {class: "results", onSubmit: async (event) => {
    event.preventDefault();
    try {
      const body = {name: name.value.trim(), scopes: kScopes.filter((scope) => boxes[scope].checked), priority: Number(priority.value) || 0};
      if (rate.value) body.rate = `${rate.value}/min`;
      if (quota.value) body.quota = `${quota.value}/day`;
      if (days.value) body.expires = `${days.value}d`;
      const key = await post("/v1/keys", body);
      const wasFirst = first;
      const copy = h("button", {type: "button", onClick: async () => {
        if (await copyText(key.key)) replace(copy, icon("check"), t("chat.copied"));
      }}, icon("copy"), t("chat.copy"));
      replace(made, notice("good", h("p", {}, t("keys.made", {name: key.name})), h("div", {class: "secret"}, h("code", {}, key.key), copy), h("p", {class: "note"}, t("keys.once")), wasFirst ? h("p", {}, t("keys.now_asked")) : null));
      for (const input of [name, rate, quota, days]) input.value = "";
      priority.value = "0";
      for (const scope of kScopes) boxes[scope].checked = kUsual.includes(scope);
      warning.hidden = true;
      if (!wasFirst) await refresh();
      made.scrollIntoView({block: "center"});
    } catch (error) {
      replace(made, trouble(error));
    }
  }}, warning, h("div", {class: "columns narrow"}, field(t("keys.name"), name, t("keys.name_note")), field(t("keys.rate"), rate, t("keys.empty_none")), field(t("keys.quota"), quota, t("keys.empty_none")), field(t("keys.days"), days, t("keys.empty_never")), field(t("keys.priority"), priority, t("keys.priority_note"))),
  h("fieldset", {}, h("legend", {}, t("keys.scopes")), h("div", {class: "checks"}, kScopes.map((scope) => h("label", {title: t(`scope.${scope}`)}, boxes[scope], h("span", {}, scope, " ", h("small", {}, t(`scope.${scope}`))))))), h("div", {class: "row end"}, h("button", {class: "primary"}, icon("add"), t("keys.make"))));

  body.append(head, h("section", {class: "card", "aria-label": t("nav.keys")}, list),
    h("section", {class: "card", "aria-labelledby": "new-key"}, h("h2", {id: "new-key"}, t("keys.new")), form, made));
  await refresh();
}
