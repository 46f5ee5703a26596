// The two sides of a rollout beside each other.

import { html } from "../vendor/htm-preact.js";
import { count, NONE, percent, seconds } from "../lib/format.js";

const score = (value) => (value == null ? NONE : value.toFixed(2));

const ROWS = [
  ["calls", (arm) => count(arm.calls)],
  ["failed", (arm) => (arm.calls ? percent(arm.errors / arm.calls) : NONE)],
  ["p50", (arm) => (arm.calls ? seconds(arm.latency_p50) : NONE)],
  ["p95", (arm) => (arm.calls ? seconds(arm.latency_p95) : NONE)],
  ["quality", (arm) => score(arm.quality)],
  ["feedback", (arm) => score(arm.feedback)],
];

export const Arms = ({ of }) => html`
  <table class="arms">
    <caption class="hidden">What both sides of ${of.rollout.name} have shown since the step began</caption>
    <thead><tr><td></td><th scope="col">stable<br /><span class="quiet">${of.rollout.stable}</span></th><th scope="col">canary<br /><span class="quiet">${of.rollout.canary}</span></th></tr></thead>
    <tbody>${ROWS.map(([name, value]) => html`
      <tr><th scope="row">${name}</th><td>${value(of.stable)}</td><td>${value(of.canary)}</td></tr>`)}</tbody>
  </table>`;
