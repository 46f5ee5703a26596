// A conversation, streamed.

import { html, useState } from "../vendor/htm-preact.js";
import { chat, ofDecision } from "../lib/playing.js";
import { count, seconds } from "../lib/format.js";
import { chosen, ModelField, TextField, TierField } from "./fields.js";
import { Served } from "./served.js";
import { useCall } from "./use_call.js";

export function PlayChat() {
  const [turns, setTurns] = useState([]);
  const [result, error, busy, run, stop] = useCall();
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const asked = [...turns, { role: "user", content: form.get("message") }];
    event.target.elements.message.value = "";
    run((signal) => answered(asked, body(form), setTurns, signal));
  };
  return html`
    <form class="play-form" onSubmit=${submit}>
      <div class="fields"><${ModelField} id="chat-model" task="generate" /><${TierField} id="chat-tier" />
        <div><label for="chat-tokens">Most tokens</label><input id="chat-tokens" name="max_tokens" type="number" min="1" max="8192" value="256" /></div>
        <div><label for="chat-temperature">Temperature</label><input id="chat-temperature" name="temperature" type="number" min="0" max="2" step="0.1" value="0.7" /></div>
      </div>
      <${TextField} id="chat-message" name="message" label="Message" rows="4" onKeyDown=${sendByEnter} />
      <div class="play-acts">
        <button type="submit" class="primary" disabled=${busy}>Send</button>
        ${busy && html`<button type="button" onClick=${stop}>Stop</button>`}
        ${turns.length > 0 && !busy && html`<button type="button" onClick=${() => setTurns([])}>New conversation</button>`}
        <span class="quiet">Enter sends, Shift+Enter breaks the line</span>
      </div>
    </form>
    <div class="play-result">
      <div class="turns" role="log" aria-label="Conversation" tabindex="0">
        ${turns.map((turn) => html`<div class="turn ${turn.role}"><span class="quiet">${turn.role === "user" ? "You" : turn.model ?? "Answer"}</span><p>${turn.content}</p></div>`)}
        ${!turns.length && html`<p class="empty">Ask something: the answer comes here as it is written, with where it came from and what it cost.</p>`}
      </div>
      ${error && html`<p class="error" role="alert">${error.message}</p>`}
      ${result && turns.length > 0 && html`<${Served} by=${result.served} took=${result.took} more=${result.more} />`}
    </div>`;
}

function sendByEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function body(form) {
  const tier = form.get("tier");
  const hints = tier ? { waypost: { tier } } : {};
  return { ...chosen(form), ...hints, max_tokens: Number(form.get("max_tokens")) || 256, temperature: Number(form.get("temperature")) };
}

/** Shows the turns as they grow; returns what is said of the last. */
async function answered(asked, options, show, signal) {
  const messages = asked.map(({ role, content }) => ({ role, content }));
  const began = performance.now();
  let first = null;
  let text = "";
  show([...asked, { role: "assistant", content: "…" }]);
  try {
    const { usage, request } = await chat({ ...options, messages }, (piece) => {
      first ??= (performance.now() - began) / 1000;
      text += piece;
      show([...asked, { role: "assistant", content: text }]);
    }, signal);
    const took = (performance.now() - began) / 1000;
    const served = await ofDecision(request).catch(() => ({ request }));
    show([...asked, { role: "assistant", content: text, model: served.model }]);
    return { served, took, more: figures(usage, first, took) };
  } catch (error) {
    show(text ? [...asked, { role: "assistant", content: text }] : asked.slice(0, -1));
    throw error;
  }
}

const figures = (usage, first, took) => [
  ["first token", first == null ? "" : seconds(first)],
  ["tokens", usage && `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`],
  ["speed", usage && took > 0 && `${(usage.completion_tokens / took).toFixed(1)} tokens/s`],
];
