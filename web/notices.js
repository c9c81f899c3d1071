// How trouble, emptiness and success look, the same on every page.
import {h, icon} from "./dom.js";
import {t} from "./words.js";

// A page's file that did not come.
const lost = (error) => /dynamically imported|module script|Importing a module/i.test(error.message);

// In the reader's words where the cause is known, else in the service's.
export function wordsOf(error) {
  if (error.code === "unreachable" || lost(error)) return t("trouble.unreachable");
  if (error.status === 401) return t("trouble.key");
  if (error.status === 403) return `${t("trouble.scope")} ${error.message}`;
  if (error.status === 429 || (error.status === 503 && error.retryAfter)) return `${error.message}. ${t("trouble.later", {seconds: error.retryAfter || 1})}`;
  return error.message || String(error);
}

export function trouble(error, again) {
  if (error.status === undefined && !lost(error)) console.error(error);  // a fault of ours
  return h("div", {class: "notice bad", role: "alert"}, icon("warn"), h("p", {}, wordsOf(error)),
    again ? h("button", {type: "button", onClick: () => again()}, t("trouble.again")) : null);
}

export const notice = (kind, ...content) => h("div", {class: `notice ${kind}`}, icon(kind === "good" ? "check" : "warn"), h("div", {}, content));

export const empty = (title, text, ...more) => h("div", {class: "empty"}, h("img", {src: "/console/icon.svg", alt: "", width: "56", height: "56"}), h("h2", {}, title), h("p", {}, text), more);

// Asks before what cannot be undone.
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", {class: "sheet", "aria-labelledby": "confirm-title", onClose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }}, h("form", {method: "dialog", class: "sheet-body"}, h("h2", {id: "confirm-title"}, title), h("p", {}, text),
      h("div", {class: "row end"}, h("button", {value: "no"}, t("shell.cancel")), h("button", {value: "yes", class: "primary danger"}, action))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
