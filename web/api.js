// The service's own routes, as any client calls them. A key that the browser was given goes along by itself.

export class Refused extends Error {
  constructor(status, message, code, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;  // seconds, of a 429 or 503
  }
}

async function refused(answer) {
  const text = await answer.text();
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not of this service: a proxy's words.
  }
  const refusal = new Refused(answer.status, error.message ?? text.slice(0, 300) ?? answer.statusText, error.code, Number(answer.headers.get("retry-after")) || 0);
  if (answer.status === 401) window.dispatchEvent(new CustomEvent("ingot-key-asked"));
  return refusal;
}

async function call(method, path, body, signal) {
  let answer;
  try {
    answer = await fetch(path, {method, signal, headers: body === undefined ? {} : {"Content-Type": "application/json"}, body: body === undefined ? undefined : JSON.stringify(body)});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "", "unreachable");
  }
  if (!answer.ok) throw await refused(answer);
  return answer;
}

export const get = async (path, signal) => (await call("GET", path, undefined, signal)).json();
export const getText = async (path, signal) => (await call("GET", path, undefined, signal)).text();
export const post = async (path, body, signal) => (await call("POST", path, body, signal)).json();
export const remove = async (path) => (await call("DELETE", path)).json();

// The data of each server-sent event, parsed. The first value is {ai: hash, id} of the answer's headers.
export async function* stream(path, body, signal) {
  const answer = await call("POST", path, body, signal);
  yield {ai: answer.headers.get("x-ingot-ai"), id: answer.headers.get("x-request-id")};
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    waiting += value;
    for (let end = waiting.indexOf("\n\n"); end >= 0; end = waiting.indexOf("\n\n")) {
      const lines = waiting.slice(0, end).split("\n").filter((line) => line.startsWith("data:"));
      waiting = waiting.slice(end + 2);
      const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
      if (!data || data === "[DONE]") continue;
      const event = JSON.parse(data);
      if (event.error) throw new Refused(500, event.error.message, event.error.code, 0);
      yield event;
    }
  }
}

// What is served; asked anew every time: AIs are loaded, replaced and leave.
export const models = async () => (await get("/v1/models")).data;
export const caller = () => get("/v1/caller");
// Whether the key that this page is used with allows a scope; without keys everything is allowed.
export async function may(scope) {
  const {scopes} = await caller();
  return scopes.includes("admin") || scopes.includes(scope);
}
export const card = (name) => get(`/v1/card/${encodeURIComponent(name)}`);
