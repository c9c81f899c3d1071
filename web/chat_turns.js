// One question and what was answered, by one AI or two.
import {copyText, h, icon, iconButton, replace} from "./dom.js";
import {fileChip} from "./chat_files.js";
import {draw} from "./markdown.js";
import {notice, wordsOf} from "./notices.js";
import {number, span, t} from "./words.js";

const places = new WeakMap();  // reply -> {text, thought} where it is drawn

// While it streams: the text alone.
export function refreshReply(reply) {
  const place = places.get(reply);
  if (!place) return;
  draw(place.text, reply.text);
  if (reply.thought) {
    place.thought.hidden = false;
    place.thought.querySelector("div").textContent = reply.thought;
  }
  place.dots.hidden = !reply.running || Boolean(reply.text);
}

function facts(reply) {
  const said = [];
  if (reply.usage?.completion_tokens) {
    said.push(t("chat.tokens", {count: number(reply.usage.completion_tokens)}));
    if (reply.times?.answer > 0 && reply.usage.completion_tokens > 1) said.push(t("chat.speed", {speed: number((reply.usage.completion_tokens - 1) / reply.times.answer, 1)}));
  }
  if (reply.times) said.push(t("chat.first", {time: span(reply.times.first)}));
  if (reply.finish === "length") said.push(t("chat.cut"));
  if (reply.finish === "stopped") said.push(t("chat.stopped"));
  return said.join(" · ");
}

function question(turn, index, actions) {
  const bubble = h("div", {class: "bubble"}, turn.files?.length ? h("ul", {class: "chips"}, turn.files.map((file) => fileChip(file))) : null, turn.text ? h("p", {class: "as-written"}, turn.text) : null);
  const tools = h("div", {class: "tools"}, iconButton("edit", t("chat.edit"), edit, {class: "icon-button edit-question"}), copyButton(() => turn.text));
  const whole = h("div", {class: "question"}, h("h3", {class: "unseen"}, t("chat.you")), bubble, tools);
  function edit() {
    const box = h("textarea", {rows: Math.min(12, turn.text.split("\n").length + 1), value: turn.text, "aria-label": t("chat.edit"), onKeydown: (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        back();
      }
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        done();
      }
    }});
    const done = () => {
      if (!box.value.trim() && !turn.files?.length) return;
      replace(whole);
      actions.edit(index, box.value.trim());
    };
    const back = () => {
      replace(whole, h("h3", {class: "unseen"}, t("chat.you")), bubble, tools);
      tools.querySelector("button").focus();
    };
    replace(whole, h("form", {class: "editing", onSubmit: (event) => {
      event.preventDefault();
      done();
    }}, box, h("p", {class: "note"}, t("chat.edit_note")), h("div", {class: "row end"}, h("button", {type: "button", onClick: back}, t("shell.cancel")), h("button", {class: "primary"}, t("chat.send")))));
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }
  return whole;
}

function copyButton(text) {
  const button = iconButton("copy", t("chat.copy"), async () => {
    if (!await copyText(text())) return;
    replace(button, icon("check"));
    setTimeout(() => replace(button, icon("copy")), 1600);
  });
  return button;
}

// Thumbs, and a box for a better text: of AIs, which learn; plain models do not.
function opinion(reply, body, actions) {
  if (!reply.id || !reply.text || !actions.learns(reply.model)) return null;
  const said = h("p", {class: "note", role: "status"}, reply.rated ? t("chat.thanks") : "");
  const tell = async (what) => {
    try {
      await actions.tell(reply, what);
      said.textContent = t("chat.thanks");
      for (const [word, button] of Object.entries(thumbs)) button.setAttribute("aria-pressed", String(reply.rated === word));
    } catch (error) {
      said.textContent = wordsOf(error);
    }
    body.append(said);
  };
  const thumb = (word) => iconButton(word, t(`chat.${word}`), () => tell({rating: word}), {"aria-pressed": String(reply.rated === word)});
  const thumbs = {good: thumb("good"), bad: thumb("bad")};
  const better = iconButton("edit", t("chat.better"), () => {
    const box = h("textarea", {rows: Math.min(12, reply.text.split("\n").length + 1), value: reply.text, "aria-label": t("chat.better")});
    const form = h("form", {class: "editing", onSubmit: (event) => {
      event.preventDefault();
      form.remove();
      if (box.value.trim() && box.value !== reply.text) tell({better: box.value.trim()});
    }}, box, h("p", {class: "note"}, t("chat.better_note")), h("div", {class: "row end"}, h("button", {type: "button", onClick: () => form.remove()}, t("shell.cancel")), h("button", {class: "primary"}, t("chat.keep"))));
    body.append(form);
    box.focus();
  });
  if (reply.rated) body.append(said);
  return [thumbs.good, thumbs.bad, better];
}

function answer(turn, index, side, last, actions) {
  const at = turn.sides[side];
  if (!at) return h("article", {class: "answer none"});
  const reply = at.replies[at.shown];
  const text = h("div", {class: "prose"});
  const thought = h("details", {class: "thought", hidden: true}, h("summary", {}, t("chat.thought")), h("div", {class: "as-written"}));
  const dots = h("div", {class: "dots", hidden: !reply.running || Boolean(reply.text), "aria-label": t("chat.thinking")}, h("i"), h("i"), h("i"));
  places.set(reply, {text, thought, dots});
  const body = h("article", {class: `answer${reply.running ? " running" : ""}`, "aria-busy": String(reply.running)},
    h("header", {}, h("h3", {}, reply.model), reply.ai ? h("code", {class: "hash", title: t("chat.hash", {hash: reply.ai})}, reply.ai.slice(0, 8)) : null), thought, text, dots);
  refreshReply(reply);
  if (reply.finish === "content_filter") body.append(notice("warn", t("chat.rail")));
  if (reply.error) body.append(notice("bad", h("p", {}, wordsOf(reply.error))));
  if (!reply.running) {
    const many = at.replies.length;
    body.append(h("footer", {}, h("div", {class: "tools"},
      many > 1 ? h("span", {class: "versions"}, iconButton("left", t("chat.before"), () => actions.show(index, side, at.shown - 1), {disabled: at.shown === 0}),
        h("span", {}, `${at.shown + 1} / ${many}`), iconButton("right", t("chat.after"), () => actions.show(index, side, at.shown + 1), {disabled: at.shown === many - 1})) : null,
      copyButton(() => reply.text), opinion(reply, body, actions), iconButton("again", last ? t("chat.again") : t("chat.again_here"), () => actions.regenerate(index, side), {class: "icon-button again"})),
    h("small", {}, facts(reply))));
  }
  return body;
}

export function drawTurn(turn, index, sides, last, actions) {
  return h("section", {class: "turn", "aria-label": t("chat.turn", {count: index + 1})}, question(turn, index, actions),
    h("div", {class: "answers"}, sides.map((side) => answer(turn, index, side, last, actions))));
}
