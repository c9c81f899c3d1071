// The part of Markdown that answers are written in, as nodes: paragraphs, headings, lists, quotes, tables, code, emphasis, links.
import {copyText, h, icon, replace} from "./dom.js";
import {t} from "./words.js";

const kSafe = /^(https?:\/\/|mailto:)/i;

function link(text, target) {
  return kSafe.test(target) ? h("a", {href: target, target: "_blank", rel: "noopener noreferrer"}, text) : h("span", {}, text);
}

// Each: a pattern at any place of the line, and what it becomes. The earliest match wins, then the first in this order.
const kInline = [
  [/(`+)(.+?)\1(?!`)/s, (m) => h("code", {}, m[2].replace(/^ (.*) $/s, "$1"))],
  [/!?\[([^\]\n]{1,400})\]\(([^)\s]{1,2000})(?:\s+"[^"]*")?\)/, (m) => link(m[1], m[2])],
  [/\bhttps?:\/\/[^\s<>"')\]]{1,2000}[^\s<>"')\].,;:!?]/i, (m) => link(m[0], m[0])],
  [/\*\*(?=\S)(.+?\S|\S)\*\*/s, (m) => h("strong", {}, inline(m[1]))],
  [/(?<![\w_])__(?=\S)(.+?\S|\S)__(?![\w_])/s, (m) => h("strong", {}, inline(m[1]))],
  [/\*(?=[^\s*])(.+?[^\s*]|[^\s*])\*(?!\*)/s, (m) => h("em", {}, inline(m[1]))],
  [/(?<![\w_])_(?=[^\s_])(.+?[^\s_]|[^\s_])_(?![\w_])/s, (m) => h("em", {}, inline(m[1]))],
  [/~~(?=\S)(.+?\S|\S)~~/s, (m) => h("del", {}, inline(m[1]))],
];

const kDeepest = 12, kLongestStyled = 20000;  // a hostile text of nested marks stays plain
let depth = 0;
function nested(make, otherwise) {
  if (depth >= kDeepest) return otherwise;
  ++depth;
  try {
    return make();
  } finally {
    --depth;
  }
}

function inline(text) {
  return text.length > kLongestStyled ? [text] : nested(() => styled(text), [text]);
}

function styled(text) {
  const out = [];
  while (text) {
    let best = null, make = null;
    for (const [pattern, becomes] of kInline) {
      const match = pattern.exec(text);
      if (match && (!best || match.index < best.index)) [best, make] = [match, becomes];
    }
    if (!best) {
      out.push(text);
      break;
    }
    if (best.index) out.push(text.slice(0, best.index));
    out.push(make(best));
    text = text.slice(best.index + best[0].length);
  }
  return out;
}

const kFence = /^(\s{0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const kItem = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const kRule = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const kRow = /^\s*\|.*\|\s*$/;

// The text as pieces that stand alone: a piece that is whole never changes when more text comes.
function pieces(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const out = [];
  let at = 0;
  const take = (kind, until) => {
    const begin = at++;
    while (at < lines.length && !until(lines[at])) ++at;
    out.push({kind, lines: lines.slice(begin, at)});
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = kFence.exec(line);
    if (!line.trim()) {
      ++at;
    } else if (fence) {
      const closing = (other) => other.trim().startsWith(fence[2]) && !other.trim().slice(fence[2].length).replaceAll(fence[2][0], "").trim();
      take("code", closing);
      const piece = out.at(-1);
      piece.language = fence[3];
      piece.closed = at < lines.length;
      ++at;
    } else if (/^#{1,6}\s/.test(line)) {
      out.push({kind: "heading", lines: [lines[at++]]});
    } else if (kRule.test(line)) {
      out.push({kind: "rule", lines: [lines[at++]]});
    } else if (kItem.test(line)) {
      take("list", (other) => kFence.test(other) && !/^\s/.test(other) ? true : other.trim() ? !kItem.test(other) && !/^\s/.test(other) : !lines[at + 1] || (!kItem.test(lines[at + 1]) && !/^\s{2,}/.test(lines[at + 1])));
    } else if (/^\s{0,3}>/.test(line)) {
      take("quote", (other) => !/^\s{0,3}>/.test(other));
    } else if (kRow.test(line) && /^\s*\|?[\s:|-]+\|\s*$/.test(lines[at + 1] ?? "")) {
      take("table", (other) => !kRow.test(other));
    } else {
      take("paragraph", (other) => !other.trim() || kFence.test(other) || /^#{1,6}\s/.test(other) || kItem.test(other) || /^\s{0,3}>/.test(other));
    }
  }
  return out;
}

function codeBlock(piece) {
  const code = piece.lines.slice(1).join("\n");
  const button = h("button", {type: "button", class: "quiet", onClick: async () => {
    if (!await copyText(code)) return;
    replace(button, icon("check"), t("chat.copied"));
    setTimeout(() => replace(button, icon("copy"), t("chat.copy")), 1600);
  }}, icon("copy"), t("chat.copy"));
  return h("figure", {class: "code"}, h("figcaption", {}, h("span", {}, piece.language || t("chat.code")), button), h("pre", {tabindex: "0"}, h("code", {}, code)));
}

function list(lines) {
  const first = kItem.exec(lines[0]);
  const ordered = /\d/.test(first[2]);
  const items = [];
  for (const line of lines) {
    const match = kItem.exec(line);
    if (match && match[1].length <= first[1].length + 1) items.push([match[3]]);
    else items.at(-1).push(line.replace(new RegExp(`^\\s{0,${first[1].length + first[2].length + 1}}`), ""));
  }
  return h(ordered ? "ol" : "ul", ordered && parseInt(first[2], 10) !== 1 ? {start: parseInt(first[2], 10)} : {}, items.map((item) => {
    const inner = pieces(item.join("\n"));
    const simple = inner.length && inner[0].kind === "paragraph" ? [inline(inner[0].lines.join("\n")), inner.slice(1).map(block)] : inner.map(block);
    return h("li", {}, simple);
  }));
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function table(lines) {
  return h("div", {class: "scroll"}, h("table", {}, h("thead", {}, h("tr", {}, cells(lines[0]).map((cell) => h("th", {}, inline(cell))))),
    h("tbody", {}, lines.slice(2).map((line) => h("tr", {}, cells(line).map((cell) => h("td", {}, inline(cell))))))));
}

const block = (piece) => nested(() => blockOf(piece), h("p", {}, piece.lines.join("\n")));

function blockOf(piece) {
  switch (piece.kind) {
    case "code": return codeBlock(piece);
    case "heading": return h(`h${Math.min(6, piece.lines[0].match(/^#+/)[0].length + 2)}`, {}, inline(piece.lines[0].replace(/^#+\s+|\s+#+\s*$/g, "")));
    case "rule": return h("hr");
    case "list": return list(piece.lines);
    case "quote": return h("blockquote", {}, pieces(piece.lines.map((line) => line.replace(/^\s{0,3}>\s?/, "")).join("\n")).map(block));
    case "table": return table(piece.lines);
    default: return h("p", {}, piece.lines.flatMap((line, i) => [i ? h("br") : null, ...inline(line.replace(/\s+$/, ""))]));
  }
}

const drawn = new WeakMap();  // element -> sources of its pieces

// Draws the text into the element; of a text that grows, only what has changed.
export function draw(element, text) {
  const now = pieces(text);
  const sources = now.map((piece) => `${piece.kind}\n${piece.closed}\n${piece.lines.join("\n")}`);
  const before = drawn.get(element) ?? [];
  let same = 0;
  while (same < before.length && same < sources.length && before[same] === sources[same]) ++same;
  while (element.childNodes.length > same) element.lastChild.remove();
  element.append(...now.slice(same).map(block));
  drawn.set(element, sources);
}
