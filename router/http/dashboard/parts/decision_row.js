// A decision as a row: when, what, where to, how it came out.

import { html } from "../vendor/htm-preact.js";
import { clock, NONE, seconds, usd, words } from "../lib/format.js";
import { go } from "../lib/route.js";
import { Badge } from "./badge.js";

/** "/waypost.v1.GenerateService/GenerateStream" is "GenerateStream". */
export const rpc = (line) => line.method.split("/").at(-1);

/** How a gRPC status is said: "DEADLINE_EXCEEDED" is "deadline exceeded". */
export const outcome = (code) => (code === "OK" ? "OK" : words(code).toLowerCase());

export const DecisionHead = () => html`
  <thead><tr>
    <th scope="col">Time</th><th scope="col">Call</th><th scope="col">Model</th><th scope="col">Instance</th>
    <th scope="col">Why</th><th scope="col">Tier</th><th scope="col" class="number">Took</th><th scope="col" class="number">Cost</th><th scope="col">Outcome</th>
  </tr></thead>`;

export function DecisionRow({ decision }) {
  const { line } = decision;
  const open = () => go("decisions", line.request_id);
  return html`
    <tr class="link-row" onClick=${open} data-request=${line.request_id}>
      <td data-label="Time"><a href=${`#/decisions/${encodeURIComponent(line.request_id)}`} onClick=${(event) => event.stopPropagation()}>${clock(line.timestamp)}</a></td>
      <td data-label="Call">${rpc(line)}</td>
      <td data-label="Model">${line.model ?? NONE}</td>
      <td data-label="Instance">${line.chosen ?? NONE}</td>
      <td data-label="Why">${why(line)}</td>
      <td data-label="Tier">${line.features?.tier ?? NONE}</td>
      <td data-label="Took" class="number">${seconds(line.latency_ms / 1000)}</td>
      <td data-label="Cost" class="number">${line.cost_usd ? usd(line.cost_usd) : NONE}</td>
      <td data-label="Outcome"><${Badge} state=${line.code} says=${outcome(line.code)} /></td>
    </tr>`;
}

function why(line) {
  if (line.cache === "hit" || line.cache === "near") return line.cache === "hit" ? "cache" : "cache, near";
  return [line.model_reason, line.reason].filter(Boolean).map(words).join(" / ") || NONE;
}
