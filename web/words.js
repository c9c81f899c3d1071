// What the console says, in the reader's language: words/CODE.json, one file a language.

let words = {};
let current = "en";

export const language = () => current;

// t("chat.tokens", {count: 12}) -> "12 tokens". A word that is missing shows its name, so that it is seen.
export function t(name, values = {}) {
  const text = words[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

async function read(name) {
  const answer = await fetch(`/console/words/${name}.json`);
  if (!answer.ok) throw new Error(`words/${name}.json: ${answer.status}`);
  return answer.json();
}

export const languages = () => read("languages");

// Chosen once, else the browser's first language that there is, else English.
export async function chooseLanguage(wanted) {
  const known = await languages();
  const asked = [wanted, ...navigator.languages].filter(Boolean).map((one) => one.split("-")[0]);
  current = asked.find((one) => known.includes(one)) ?? "en";
  words = await read(current);
  document.documentElement.lang = current;
}

export const languageName = (code) => new Intl.DisplayNames([code], {type: "language"}).of(code);

export function number(value, digits = 0) {
  return new Intl.NumberFormat(current, {minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative"}).format(value);
}
export const percent = (share, digits = 1) => `${number(100 * share, digits)} %`;

// Three digits that say something: 1,234 · 12.3 · 0.123
export const rough = (value) => new Intl.NumberFormat(current, Math.abs(value) >= 1000 ? {maximumFractionDigits: 0} : {maximumSignificantDigits: 3}).format(value);

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    ++unit;
  }
  return `${number(count, unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}

export function span(seconds) {
  if (seconds < 1) return `${number(1000 * seconds)} ms`;
  if (seconds < 60) return `${number(seconds, 1)} s`;
  if (seconds < 3600) return `${number(Math.floor(seconds / 60))} min`;
  if (seconds < 86400) return `${number(Math.floor(seconds / 3600))} h ${number(Math.floor((seconds % 3600) / 60))} min`;
  return `${number(Math.floor(seconds / 86400))} d ${number(Math.floor((seconds % 86400) / 3600))} h`;
}

export const date = (seconds) => new Intl.DateTimeFormat(current, {dateStyle: "medium", timeStyle: "short"}).format(new Date(1000 * seconds));
export const day = (seconds) => new Intl.DateTimeFormat(current, {dateStyle: "medium"}).format(new Date(1000 * seconds));
