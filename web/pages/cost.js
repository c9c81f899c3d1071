// What the machine cost, shared among those who used it by the time it worked for each.
import {get, may} from "../api.js";
import {h, icon, replace, select} from "../dom.js";
import {keep, kept} from "../keep.js";
import {empty, notice, trouble} from "../notices.js";
import {day, language, number, percent, t} from "../words.js";
import {table} from "../card.js";

export async function page(body) {
  const head = (more) => h("header", {class: "page-head"}, h("div", {}, h("h1", {}, t("nav.cost")), h("p", {class: "lead"}, t("cost.lead"))), more);
  if (!await may("admin")) return body.append(head(null), empty(t("shell.admin"), t("shell.admin_text")));
  let days = kept("cost.days", 30);
  const out = h("div", {class: "results", "aria-live": "polite"});
  const csv = h("a", {class: "button", download: "cost.csv"}, icon("download"), "CSV");
  const choose = select([1, 7, 30, 90, 365].map((count) => [count, t(count === 1 ? "cost.day" : "cost.days", {count})]), days, {"aria-label": t("cost.period"), onChange: () => {
    days = Number(choose.value);
    keep("cost.days", days);
    refresh();
  }});

  async function refresh() {
    csv.href = `/v1/cost?days=${days}&format=csv`;
    try {
      const report = await get(`/v1/cost?days=${days}`);
      const money = (value) => (report.price_per_hour ? new Intl.NumberFormat(language(), {style: "currency", currency: report.currency, maximumFractionDigits: value && Math.abs(value) < 1 ? 4 : 2}).format(value) : "–");
      const tile = (name, value) => h("div", {class: "tile"}, h("span", {}, name), h("strong", {}, value));
      const share = (value) => {
        const bar = h("span", {class: "bar", "aria-hidden": "true"}, h("i"));
        bar.firstChild.style.setProperty("--share", value);
        return h("span", {class: "share-cell"}, bar, percent(value, 0));
      };
      const named = (one) => (one.ai ? h("span", {title: one.ai}, one.model, " ", h("small", {}, h("code", {}, one.ai.slice(0, 8)))) : one.model);
      const sums = (list, name) => table([name, t("cost.share"), t("cost.cost"), t("cost.per_million"), t("cost.requests"), t("cost.failed"), t("cost.prompt"), t("cost.generated"), t("cost.seconds")],
        list.map((one) => ({cells: [one.user === "-" ? t("cost.nobody") : one.user ?? named(one), share(one.share), money(one.dollars), money(one.dollars_per_million_tokens), number(one.requests), number(one.failed), number(one.prompt_tokens), number(one.generated_tokens), number(one.slot_seconds, 1)]})), name);
      replace(out, report.price_per_hour ? null : notice("warn", h("p", {}, t("cost.no_price"))),
        h("div", {class: "tiles"}, tile(t("cost.whole"), money(report.dollars)), tile(t("cost.per_million"), money(report.dollars_per_million_tokens)), tile(t("cost.hours"), number(report.hours, 1)), tile(t("cost.requests"), number(report.requests)), tile(t("live.tokens"), number(report.tokens))),
        h("p", {class: "note"}, t("cost.between", {from: day(report.from), until: day(report.until)})),
        report.requests ? [h("section", {class: "card", "aria-label": t("cost.by_user")}, h("h2", {}, t("cost.by_user")), sums(report.users, t("cost.user"))), h("section", {class: "card", "aria-label": t("cost.by_ai")}, h("h2", {}, t("cost.by_ai")), sums(report.ais, t("cost.ai")))] : empty(t("cost.none"), t("cost.none_text")));
    } catch (error) {
      csv.hidden = true;
      replace(out, error.code === "not_recorded" ? empty(t("keys.no_data"), t("keys.no_data_text")) : trouble(error, refresh));
    }
  }
  body.append(head(h("div", {class: "row"}, choose, csv)), out);
  await refresh();
}
