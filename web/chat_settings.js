// The system prompt and how answers are drawn. Empty means: as the model or the service has it.
import {field, h, iconButton} from "./dom.js";
import {t} from "./words.js";

export const kDefaults = {system: "", temperature: "", top_p: "", top_k: "", min_p: "", repetition_penalty: "", max_tokens: "", seed: "", stop: "", compare: false};

// name, least, most, step
const kNumbers = [["temperature", 0, 2, 0.05], ["top_p", 0, 1, 0.01], ["top_k", 0, 1000, 1], ["min_p", 0, 1, 0.01], ["repetition_penalty", 0.5, 2, 0.01], ["max_tokens", 1, 1000000, 1], ["seed", 0, 2147483647, 1]];

// As the fields of a request.
export function asFields(settings) {
  const out = {};
  for (const [name] of kNumbers)
    if (settings[name] !== "" && Number.isFinite(Number(settings[name]))) out[name === "max_tokens" ? "max_completion_tokens" : name] = Number(settings[name]);
  const stops = settings.stop.split("\n").filter(Boolean);
  if (stops.length) out.stop = stops;
  return out;
}

export function settingsPanel(settings, changed, close) {
  const text = (name, rows, note) => field(t(`sampling.${name}`), h("textarea", {rows, value: settings[name], onInput: (event) => {
    settings[name] = event.target.value;
    changed();
  }}), note);
  const controls = [];
  const number = ([name, least, most, step]) => {
    const input = h("input", {type: "number", min: least, max: most, step, inputmode: "decimal", value: settings[name], placeholder: t("sampling.default"), onInput: () => {
      const good = input.value === "" || (Number(input.value) >= least && Number(input.value) <= most);
      input.setAttribute("aria-invalid", String(!good));
      if (!good) return;
      settings[name] = input.value;
      changed();
    }});
    controls.push([name, input]);
    return field(t(`sampling.${name}`), input, t(`sampling.${name}_note`));
  };
  const system = text("system", 5, t("sampling.system_note")), stop = text("stop", 2, t("sampling.stop_note"));
  const reset = h("button", {type: "button", onClick: () => {
    for (const [name, input] of controls) {
      settings[name] = "";
      input.value = "";
      input.removeAttribute("aria-invalid");
    }
    settings.stop = stop.querySelector("textarea").value = "";
    changed();
  }}, t("sampling.reset"));
  return h("aside", {class: "panel", hidden: true, "aria-label": t("chat.settings")},
    h("header", {}, h("h2", {}, t("chat.settings_short")), iconButton("close", t("shell.close"), close)), system, h("div", {class: "pairs"}, kNumbers.map(number)), stop, reset);
}
