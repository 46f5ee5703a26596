// Calls of the playground, and what is told of where each was answered.

import { ask, Refused, send } from "./api.js";
import { sleep } from "./sleep.js";
import { events } from "./sse.js";

const PATIENCE = 5;

/**
 * Streams the answer in a conversation.  `heard` gets each piece of text; returns `{usage, request}`.
 *
 * Throws `Refused` where the stream ends with an error.
 */
export async function chat(body, heard, signal) {
  const reply = await send("/v1/chat/completions", { body: { ...body, stream: true, stream_options: { include_usage: true } }, signal });
  let usage = null;
  for await (const data of events(reply)) {
    if (data === "[DONE]") break;
    const event = JSON.parse(data);
    if (event.error) throw new Refused(502, event.error);
    for (const choice of event.choices) if (choice.delta.content) heard(choice.delta.content);
    usage = event.usage ?? usage;
  }
  return { usage, request: reply.headers.get("x-request-id") };
}

/** The answer to another call, with what its headers say. */
export async function whole(path, body, signal) {
  const began = performance.now();
  const reply = await send(path, { body, signal });
  const told = await reply.json();
  return { told, took: (performance.now() - began) / 1000, served: ofHeaders(reply.headers) };
}

function ofHeaders(headers) {
  const of = (name) => headers.get(`x-waypost-${name}`) ?? "";
  const cost = of("cost-usd");
  return {
    request: headers.get("x-request-id"),
    model: of("served-model"),
    instance: of("instance"),
    reason: of("reason"),
    tier: of("tier"),
    cache: of("cache"),
    cost: cost ? Number(cost) : null,
  };
}

/** The same of a stream, whose headers came before the router knew: from its decision, once that is down. */
export async function ofDecision(request) {
  for (let tries = 0; tries < PATIENCE; tries++) {
    const { decisions } = await ask(`/api/decisions?request_id=${encodeURIComponent(request)}`);
    if (decisions.length) return ofLine(decisions.at(-1).line);
    await sleep(200 * (tries + 1));
  }
  return { request };
}

const ofLine = (line) => ({
  request: line.request_id,
  model: line.model,
  instance: line.chosen,
  reason: [line.model_reason, line.reason].filter(Boolean).join("/"),
  tier: line.features?.tier ?? "",
  cache: line.cache ?? "",
  cost: line.cost_usd,
});

/** How alike two unit vectors are. */
export const cosine = (one, two) => one.reduce((sum, value, index) => sum + value * two[index], 0);

export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
