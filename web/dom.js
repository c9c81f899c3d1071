// Building the page: always nodes, never markup, so that no text of a model can become part of the program.

const kSvg = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// h("button", {class: "quiet", onClick: f}, "Send")
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
// The same for SVG.
export const s = (tag, attributes, ...children) => fill(document.createElementNS(kSvg, tag), attributes, children);

export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Strokes on a grid of 24.
const kIcons = {
  chat: "M4 5h16v11H9l-5 4z",
  triage: "M4 6h16M4 12h10M4 18h5M17 15v6M14 18l3 3 3-3",
  ais: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  rails: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4",
  flywheel: "M20 12a8 8 0 1 1-2.3-5.6M20 3v4h-4M12 8v4l3 2",
  live: "M3 12h4l3-8 4 16 3-8h4",
  keys: "M14 10a4 4 0 1 0-4 4 4 4 0 0 0 4-4zM13 13l7 7M17 17l2-2",
  cost: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM15 9c-.5-1-1.6-1.5-3-1.5-1.700 0-3 .8-3 2.200 0 3 6 1.500 6 4.600 0 1.400-1.300 2.200-3 2.200-1.400 0-2.500-.5-3-1.500M12 6v12",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  send: "M5 12h13M12 5l7 7-7 7",
  stop: "M7 7h10v10H7z",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  again: "M20 12a8 8 0 1 1-2.300-5.600M20 3v4h-4",
  copy: "M8 8h11v12H8zM5 16V4h11",
  good: "M7 11v9H4v-9zM7 11l4-8c2 0 3 1 3 3v3h5l1 1-2 9-1 1H7",
  bad: "M7 13V4H4v9zM7 13l4 8c2 0 3-1 3-3v-3h5l1-1-2-9-1-1H7",
  attach: "M19 11l-7.500 7.500a4.500 4.500 0 0 1-6.400-6.400L13 4.200a3 3 0 0 1 4.300 4.300l-7.800 7.700a1.500 1.500 0 0 1-2.100-2.100L14 7.500",
  sliders: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
  columns: "M4 5h16v14H4zM12 5v14",
  check: "M5 12l5 5 9-10",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  dark: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z",
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  add: "M12 5v14M5 12h14",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  warn: "M12 4l9 16H3zM12 10v4M12 17v.5",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  keyboard: "M3 6h18v12H3zM7 10h.1M11 10h.1M15 10h.1M17 14h.1M7 14h7",
  back: "M19 12H6M12 5l-7 7 7 7",
  sign: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z",
};

export function icon(name) {
  return s("svg", {class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false"}, s("path", {d: kIcons[name]}));
}

// A button that shows a picture alone: its words are for those who do not see it, and under the pointer.
export function iconButton(name, label, onClick, attributes = {}) {
  return h("button", {type: "button", class: "icon-button", "aria-label": label, title: label, onClick, ...attributes}, icon(name));
}

let fieldNumber = 0;
// A labelled control; note stands below it.
export function field(label, control, note) {
  control.id ||= `field-${++fieldNumber}`;
  const hint = note ? h("p", {class: "note", id: `${control.id}-note`}, note) : null;
  if (hint) control.setAttribute("aria-describedby", hint.id);
  return h("div", {class: "field"}, h("label", {for: control.id}, label), control, hint);
}

export function select(options, chosen, attributes = {}) {
  return h("select", attributes, options.map(([value, text]) => h("option", {value, selected: value === chosen}, text)));
}

// On a phone an answer stands below what was asked.
export function bringIntoView(element) {
  if (element.getBoundingClientRect().top > innerHeight * 0.7) element.scrollIntoView({behavior: "smooth"});
}

// Says a line to screen readers.
let spoken;
export function say(text) {
  spoken ??= document.body.appendChild(h("div", {class: "unseen", role: "status", "aria-live": "polite"}));
  spoken.textContent = text;
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context there is no clipboard: the old way.
    const area = document.body.appendChild(h("textarea", {class: "unseen", "aria-hidden": "true", value: text}));
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
