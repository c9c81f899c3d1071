// The shell: navigation, theme, language, and the page that the address names.
import {get} from "./api.js";
import {h, icon, iconButton, replace, say, select} from "./dom.js";
import {keep, kept} from "./keep.js";
import {chooseLanguage, language, languageName, languages, t} from "./words.js";
import {trouble} from "./notices.js";

// Each page: its place in the address, its file, the letter behind "g" that leads there.
const kPages = [
  {place: "chat", letter: "c"},
  {place: "triage", letter: "t"},
  {place: "ais", letter: "a"},
  {place: "rails", letter: "r"},
  {place: "flywheel", letter: "f"},
  {place: "live", letter: "l"},
  {place: "keys", letter: "k"},
  {place: "cost", letter: "o"},
];

const main = h("main", {id: "main", tabindex: "-1"});
let leave = () => {};
let turn = 0;

// "#/ais/triage?x=1" -> ["ais", "triage"]
function address() {
  const [place, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return [place || "chat", rest.map(decodeURIComponent).join("/")];
}

async function show(focus = true) {
  const [place, rest] = address();
  const mine = ++turn;
  leave();
  leave = () => {};
  const known = kPages.some((page) => page.place === place);
  document.title = `${known ? t(`nav.${place}`) : t("shell.no_page")} · Ingot`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.place === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.documentElement.classList.remove("menu-open");
  if (!known) return replace(main, h("div", {class: "page"}, h("h1", {}, t("shell.no_page")), h("p", {}, h("a", {href: "#/chat"}, t("nav.chat")))));
  replace(main, h("div", {class: "waiting", "aria-label": t("shell.loading")}));
  main.dataset.page = place;
  try {
    const {page} = await import(`./pages/${place}.js`);
    const body = h("div", {class: `page page-${place}`});
    const ends = await page(body, rest);
    if (mine !== turn) return ends?.();
    leave = ends ?? leave;
    replace(main, body);
  } catch (error) {
    if (error.status === undefined) get("/v1/version").catch(() => {});  // a page that does not load may lack the key: then it is asked for
    if (mine === turn) replace(main, h("div", {class: "page"}, h("h1", {}, t(`nav.${place}`)), trouble(error, show)));
  }
  if (!focus) return;
  main.scrollTo(0, 0);
  main.focus({preventScroll: true});
  say(t(`nav.${place}`));
}

function setTheme(theme) {
  keep("theme", theme === "system" ? undefined : theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function themeButton() {
  const order = ["system", "light", "dark"];
  let theme = kept("theme", "system");
  const button = iconButton(theme, "", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    setTheme(theme);
    draw();
    say(button.title);
  });
  const draw = () => {
    replace(button, icon(theme));
    button.title = t(`theme.${theme}`);
    button.setAttribute("aria-label", button.title);
  };
  draw();
  return button;
}

function keysDialog() {
  const rows = [["Enter", t("keys_help.send")], ["Shift Enter", t("keys_help.line")], ["Esc", t("keys_help.stop")], ["↑", t("keys_help.edit")], ["/", t("keys_help.write")],
                ...kPages.map((page) => [`g ${page.letter}`, t(`nav.${page.place}`)]), ["?", t("keys_help.this")]];
  const dialog = h("dialog", {class: "sheet", "aria-labelledby": "keys-title", onClose: () => dialog.remove(), onClick: (event) => event.target === dialog && dialog.close()},
    h("div", {class: "sheet-body"},
      h("header", {}, h("h2", {id: "keys-title"}, t("keys_help.title")), iconButton("close", t("shell.close"), () => dialog.close())),
      h("dl", {class: "shortcuts"}, rows.map(([keys, what]) => h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, what))))));
  document.body.append(dialog);
  dialog.showModal();
}

let pending = false;
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog, [contenteditable]")) return;
  if (pending) {
    pending = false;
    const page = kPages.find((one) => one.letter === event.key);
    if (page) location.hash = `#/${page.place}`;
    return;
  }
  if (event.key === "g") {
    pending = true;
    setTimeout(() => { pending = false; }, 1200);
  } else if (event.key === "?") {
    keysDialog();
  } else if (event.key === "/") {
    const box = main.querySelector("textarea, input");
    if (box) {
      event.preventDefault();
      box.focus();
    }
  }
}

function navigation() {
  return h("nav", {"aria-label": t("shell.pages")},
    h("ul", {}, kPages.map(({place}) => h("li", {}, h("a", {href: `#/${place}`, "data-place": place}, icon(place), h("span", {}, t(`nav.${place}`)))))));
}

async function shell() {
  const menu = iconButton("menu", t("shell.menu"), () => document.documentElement.classList.toggle("menu-open"), {class: "icon-button menu-button"});
  const choose = select((await languages()).map((code) => [code, languageName(code)]), language(), {"aria-label": t("shell.language"), class: "quiet-select", onChange: async () => {
    keep("language", choose.value);
    await start();
  }});
  const brand = () => h("a", {class: "brand", href: "#/chat", "aria-label": "Ingot"}, h("img", {src: "/console/icon.svg", alt: "", width: "28", height: "28"}), h("span", {}, "Ingot"));
  const banner = h("div", {class: "key-banner", role: "alert", hidden: true}, icon("keys"), h("p", {}, t("shell.key_asked")), h("button", {type: "button", class: "primary", onClick: () => location.reload()}, t("shell.sign_in")));
  window.addEventListener("ingot-key-asked", () => { banner.hidden = false; });
  replace(document.body,
    h("a", {class: "skip", href: "#main", onClick: (event) => {
      event.preventDefault();
      main.focus();
    }}, t("shell.skip")),
    h("header", {class: "top"}, menu, brand()),
    h("div", {class: "side"}, brand(), navigation(),
      h("footer", {class: "side-foot"}, choose, themeButton(), iconButton("keyboard", t("keys_help.title"), keysDialog))),
    h("div", {class: "shade", onClick: () => document.documentElement.classList.remove("menu-open")}),
    h("div", {class: "stage"}, banner, main));
}

async function start() {
  await chooseLanguage(kept("language"));
  await shell();
  await show(false);
}

window.addEventListener("hashchange", () => show());
document.addEventListener("keydown", onKey);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.documentElement.classList.remove("menu-open");
});
start();
