// Conversations with one AI, or with two side by side. They live in this tab; nothing is kept by the service.
import {Refused, caller, card, models, post, stream} from "../api.js";
import {h, iconButton, replace, say, select} from "../dom.js";
import {keep, keepInTab, kept, keptInTab} from "../keep.js";
import {confirmed, trouble} from "../notices.js";
import {t} from "../words.js";
import {attachments, withFiles} from "../chat_files.js";
import {kDefaults, asFields, settingsPanel} from "../chat_settings.js";
import {drawTurn, refreshReply} from "../chat_turns.js";

const kConverse = ["language", "chat"];

export async function page(body) {
  const {requests_kept: logged} = await caller();
  const all = (await models()).filter((one) => one.kind !== "encoder");
  all.sort((a, b) => kConverse.includes(b.kind) - kConverse.includes(a.kind));
  const names = all.map((one) => one.id);
  const settings = {...kDefaults, ...kept("chat.settings", {})};
  settings.models = [0, 1].map((side) => (names.includes(settings.models?.[side]) ? settings.models[side] : names[Math.min(side, names.length - 1)]));
  let turns = keptInTab("chat") ?? [];
  for (const turn of turns)
    for (const side of turn.sides)
      for (const reply of side?.replies ?? []) reply.running = false;
  const running = new Map();  // reply -> AbortController

  const log = h("div", {class: "turns"});
  const welcome = h("div", {class: "welcome"});
  const scroller = h("div", {class: "chat-scroll", tabindex: "0", role: "log", "aria-label": t("chat.conversation"), "aria-live": "off"}, welcome, log);
  const save = () => keepInTab("chat", turns);
  const sides = () => (settings.compare ? [0, 1] : [0]);
  let stuck = true;
  scroller.addEventListener("scroll", () => { stuck = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60; });
  const follow = (force) => {
    if (force) stuck = true;
    if (stuck) scroller.scrollTop = scroller.scrollHeight;
  };

  // What a side has heard so far; where it was silent, the other's answer stands in.
  function messages(until, side) {
    const list = settings.system.trim() ? [{role: "system", content: settings.system}] : [];
    turns.slice(0, until + 1).forEach((turn, i) => {
      list.push({role: "user", content: withFiles(turn.text, turn.files)});
      const at = turn.sides[side] ?? turn.sides[0];
      const reply = at?.replies[at.shown];
      if (i < until && reply?.text) list.push({role: "assistant", content: reply.text});
    });
    return list;
  }

  async function ask(index, side) {
    const turn = turns[index];
    const reply = {model: settings.models[side], text: "", thought: "", running: true};
    const at = (turn.sides[side] ??= {replies: [], shown: 0});
    at.replies.push(reply);
    at.shown = at.replies.length - 1;
    const control = new AbortController();
    running.set(reply, control);
    redraw();
    follow(true);
    const begun = performance.now();
    let first = 0, frame = 0;
    const later = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        refreshReply(reply);
        follow();
      });
    };
    try {
      const wanted = {model: reply.model, messages: messages(index, side), stream: true, stream_options: {include_usage: true}, ...asFields(settings)};
      for await (const event of stream("/v1/chat/completions", wanted, control.signal)) {
        if (event.ai !== undefined) {
          reply.ai = event.ai;
          continue;
        }
        reply.id = event.id;
        const choice = event.choices[0];
        const piece = choice?.delta?.content ?? "", thought = choice?.delta?.reasoning_content ?? "";
        if ((piece || thought) && !first) first = performance.now();
        reply.text += piece;
        reply.thought += thought;
        if (choice?.finish_reason) reply.finish = choice.finish_reason;
        if (event.usage) reply.usage = event.usage;
        later();
      }
    } catch (error) {
      if (error.name === "AbortError") reply.finish = "stopped";
      else reply.error = error instanceof Refused ? {status: error.status, message: error.message, code: error.code, retryAfter: error.retryAfter} : {message: String(error)};
    }
    cancelAnimationFrame(frame);
    const end = performance.now();
    if (first) reply.times = {first: (first - begun) / 1000, whole: (end - begun) / 1000, answer: (end - first) / 1000};
    reply.running = false;
    running.delete(reply);
    save();
    redraw();
    follow();
    say(reply.error ? t("chat.failed") : reply.finish === "stopped" ? t("chat.stopped") : t("chat.answered", {model: reply.model}));
  }

  const stop = () => running.forEach((control) => control.abort());

  const actions = {
    regenerate: (index, side) => {
      stop();
      turns.length = index + 1;
      ask(index, side);
    },
    edit: (index, text) => {
      stop();
      const files = turns[index].files;
      turns.length = index;
      begin(text, files);
    },
    learns: (model) => all.find((one) => one.id === model)?.kind !== "language",
    tell: async (reply, what) => {
      await post("/v1/feedback", {id: reply.id, ...what});
      reply.rated = what.rating ?? "text";
      save();
    },
    show: (index, side, number) => {
      turns[index].sides[side].shown = number;
      save();
      redraw();
    },
  };

  function redraw() {
    welcome.hidden = turns.length > 0;
    log.classList.toggle("two", Boolean(settings.compare));
    while (log.children.length > turns.length) log.lastChild.remove();
    turns.forEach((turn, i) => {
      const last = i === turns.length - 1;
      const drawn = drawTurn(turn, i, sides(), last, actions);
      const before = log.children[i];
      if (!before) log.append(drawn);
      else if (before.querySelector(".editing") === null) before.replaceWith(drawn);
    });
    send.hidden = running.size > 0;
    halt.hidden = running.size === 0;
  }

  function begin(text, files) {
    turns.push({text, files, sides: []});
    save();
    const index = turns.length - 1;
    for (const side of sides()) ask(index, side);
  }

  const files = attachments();
  const box = h("textarea", {rows: "1", placeholder: t("chat.placeholder"), "aria-label": t("chat.message"), onInput: grow, onKeydown: (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !box.value && turns.length) {
      event.preventDefault();
      log.lastChild.querySelector(".edit-question")?.click();
    }
  }, onPaste: (event) => files.pasted(event)});
  function grow() {
    if (!CSS.supports("field-sizing", "content")) box.rows = Math.min(10, box.value.split("\n").length + Math.floor(box.value.length / 80));
  }
  function submit() {
    const text = box.value.trim();
    if (running.size || (!text && !files.list.length)) return;
    box.value = "";
    grow();
    begin(text, files.take());
  }
  const send = iconButton("send", t("chat.send"), submit, {class: "icon-button primary send"});
  const halt = iconButton("stop", t("chat.stop"), stop, {class: "icon-button primary stop", hidden: true});
  const composer = h("form", {class: "composer", onSubmit: (event) => event.preventDefault()}, files.chips,
    h("div", {class: "composer-row"}, files.button, box, send, halt));
  files.acceptDrops(composer);

  const panel = settingsPanel(settings, () => keep("chat.settings", settings), () => toggle(false));
  const toggle = (open) => {
    panel.hidden = !open;
    tune.setAttribute("aria-expanded", String(open));
    if (open) panel.querySelector("textarea").focus();
  };
  const tune = iconButton("sliders", t("chat.settings"), () => toggle(panel.hidden), {"aria-expanded": "false"});
  const pickers = [0, 1].map((side) => select(all.map((one) => [one.id, one.id]), settings.models[side], {"aria-label": side ? t("chat.second_model") : t("chat.model"), class: "model-select", onChange: (event) => {
    settings.models[side] = event.target.value;
    keep("chat.settings", settings);
    suggest();
  }}));
  const both = iconButton("columns", t("chat.compare"), () => {
    settings.compare = !settings.compare;
    keep("chat.settings", settings);
    layout();
    redraw();
  });
  function layout() {
    both.setAttribute("aria-pressed", String(Boolean(settings.compare)));
    pickers[1].hidden = !settings.compare;
    body.classList.toggle("comparing", Boolean(settings.compare));
  }
  const fresh = iconButton("add", t("chat.new"), async () => {
    if (turns.length && !await confirmed(t("chat.new"), t("chat.new_text"), t("chat.new_yes"))) return;
    stop();
    turns = [];
    save();
    redraw();
    box.focus();
  });
  const keepAsFile = iconButton("download", t("chat.save"), () => {
    const text = turns.map((turn) => `## ${t("chat.you")}\n\n${withFiles(turn.text, turn.files)}\n\n` + turn.sides.map((at) => {
      const reply = at?.replies[at.shown];
      return reply ? `## ${reply.model}\n\n${reply.text}\n` : "";
    }).join("\n")).join("\n");
    const link = h("a", {href: URL.createObjectURL(new Blob([text], {type: "text/markdown"})), download: "conversation.md"});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // What the AI's own file says it is asked, else what anybody may ask.
  async function suggest() {
    const name = settings.models[0];
    let lines = [1, 2, 3].map((n) => t(`chat.suggestion_${n}`)), purpose = "";
    try {
      const known = await card(name);
      purpose = known.report?.purpose ?? "";
      const own = (known.examples ?? []).map((one) => one.input ?? one.messages?.findLast((message) => message.role === "user")?.content).filter(Boolean);
      if (own.length) lines = own;
    } catch {
      // A key that may chat but not read has no card to look at.
    }
    replace(welcome, h("img", {src: "/console/icon.svg", alt: "", width: "56", height: "56"}), h("h1", {}, t("chat.welcome")), h("p", {}, purpose ? `${name}: ${purpose}` : t("chat.welcome_text")),
      h("ul", {class: "suggestions"}, lines.slice(0, 3).map((line) => h("li", {}, h("button", {type: "button", onClick: () => {
        box.value = line;
        grow();
        box.focus();
      }}, line.length > 140 ? `${line.slice(0, 140)}…` : line)))));
  }

  if (!names.length) {
    replace(body, h("h1", {}, t("nav.chat")), trouble(new Error(t("chat.no_models"))));
    return;
  }
  const onKey = (event) => event.key === "Escape" && running.size && stop();
  document.addEventListener("keydown", onKey);
  body.append(h("h2", {class: "unseen"}, t("nav.chat")),
    h("div", {class: "chat-bar"}, h("div", {class: "pickers"}, pickers), h("div", {class: "row"}, both, keepAsFile, fresh, tune)),
    h("div", {class: "chat-middle"}, h("div", {class: "chat-column"}, scroller, h("div", {class: "composer-place"}, composer, h("p", {class: "fine"}, t(logged ? "chat.fine_kept" : "chat.fine")))), panel));
  layout();
  await suggest();
  redraw();
  requestAnimationFrame(() => {
    follow(true);
    if (matchMedia("(min-width: 800px)").matches) box.focus();
  });
  return () => {
    document.removeEventListener("keydown", onKey);
    stop();
  };
}
