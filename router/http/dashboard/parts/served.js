// Where an answer of the playground comes from, and what it came to.

import { html } from "../vendor/htm-preact.js";
import { seconds, usd, words } from "../lib/format.js";

export function Served({ by, took, more = [] }) {
  if (!by) return null;
  const facts = [
    ["model", by.model],
    ["instance", by.instance],
    ["tier", by.tier],
    ["reason", by.reason && words(by.reason.replace("/", " / "))],
    ["cache", by.cache],
    ["took", took == null ? "" : seconds(took)],
    ["cost", by.cost == null ? "" : usd(by.cost)],
    ...more,
  ].filter(([, value]) => value);
  return html`
    <dl class="served">
      ${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd data-served=${name}>${value}</dd></div>`)}
      ${by.request && html`<div><dt>decision</dt><dd><a href=${`#/decisions/${encodeURIComponent(by.request)}`}>${by.request.slice(0, 8)}</a></dd></div>`}
    </dl>`;
}
