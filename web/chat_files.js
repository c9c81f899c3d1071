// Texts that go along with a question: chosen, dropped or pasted.
import {h, icon, iconButton, replace, say} from "./dom.js";
import {bytes, t} from "./words.js";

const kLargest = 1 << 20;         // bytes of a file; what the model can hold is less, and it says so
const kLongPaste = 4000;          // characters that are better kept beside the question than in it

// The question as the model reads it.
export function withFiles(text, files = []) {
  const parts = files.map((file) => {
    const fence = "`".repeat(Math.max(3, ...[...file.text.matchAll(/`+/g)].map((m) => m[0].length + 1)));
    return `${file.name}:\n${fence}\n${file.text}\n${fence}`;
  });
  return [...parts, text].filter(Boolean).join("\n\n");
}

async function readText(file) {
  if (file.size > kLargest) throw new Error(t("files.too_large", {name: file.name, size: bytes(file.size), most: bytes(kLargest)}));
  try {
    const text = new TextDecoder("utf-8", {fatal: true}).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new Error();
    return text;
  } catch {
    throw new Error(t("files.no_text", {name: file.name}));
  }
}

export const fileChip = (file, onRemove) => h("li", {class: "chip"}, icon("file"), h("span", {}, file.name), h("small", {}, bytes(new TextEncoder().encode(file.text).length)),
  onRemove ? iconButton("close", t("files.remove", {name: file.name}), onRemove) : null);

export function attachments() {
  const chips = h("ul", {class: "chips", hidden: true, "aria-label": t("files.list")});
  const fault = h("p", {class: "note bad", role: "alert", hidden: true});
  const input = h("input", {type: "file", multiple: true, class: "unseen", tabindex: "-1", "aria-label": t("files.add"), onChange: () => {
    add([...input.files]);
    input.value = "";
  }});
  const button = h("div", {class: "attach"}, iconButton("attach", t("files.add"), () => input.click()), input);
  const list = [];
  const outer = h("div", {class: "attached"}, chips, fault);

  function draw() {
    chips.hidden = list.length === 0;
    replace(chips, list.map((file, i) => fileChip(file, () => {
      list.splice(i, 1);
      draw();
    })));
  }
  async function add(files) {
    fault.hidden = true;
    for (const file of files) {
      try {
        list.push({name: file.name, text: await readText(file)});
        say(t("files.added", {name: file.name}));
      } catch (error) {
        fault.hidden = false;
        fault.textContent = error.message;
      }
    }
    draw();
  }
  return {
    list, button, chips: outer,
    take() {
      const taken = list.splice(0);
      fault.hidden = true;
      draw();
      return taken;
    },
    pasted(event) {
      const files = [...event.clipboardData.files];
      const text = event.clipboardData.getData("text/plain");
      if (files.length) {
        event.preventDefault();
        add(files);
      } else if (text.length > kLongPaste) {
        event.preventDefault();
        list.push({name: t("files.pasted", {count: list.length + 1}), text});
        draw();
      }
    },
    acceptDrops(place) {
      place.addEventListener("dragover", (event) => {
        event.preventDefault();
        place.classList.add("dropping");
      });
      place.addEventListener("dragleave", () => place.classList.remove("dropping"));
      place.addEventListener("drop", (event) => {
        event.preventDefault();
        place.classList.remove("dropping");
        add([...event.dataTransfer.files]);
      });
    },
  };
}
