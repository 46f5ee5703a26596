// All that the router knows of an instance, and how to take it out.

import { html } from "../vendor/htm-preact.js";
import { InstanceChart } from "../charts/instance.js";
import { drain, mayOperate } from "../lib/actions.js";
import { confirm } from "../lib/dialogs.js";
import { count, percent, seconds, words } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Badge, stateOf } from "./badge.js";
import { Dialog } from "./dialog.js";

export function InstanceDialog({ about, onClose }) {
  const instance = useStore((state) => state.instances.find((each) => each.instance === about));
  const may = useStore((state) => mayOperate(state.status));
  if (!instance) return null;
  return html`
    <${Dialog} title=${instance.instance} kind="sheet" onClose=${onClose}>
      <p><${Badge} state=${stateOf(instance)} /> <span class="quiet">${instance.address}</span></p>
      <${InstanceChart} instance=${instance.instance} />
      <dl class="facts wide">
        ${FACTS.map(([name, of]) => html`<div><dt>${name}</dt><dd>${of(instance)}</dd></div>`)}
      </dl>
      <h3>Models</h3><p>${instance.models.join(", ") || "none"}</p>
      <h3>Tags</h3><p class="tags">${instance.tags.map((tag) => html`<span class="tag">${tag}</span>`)}</p>
      <div class="dialog-foot">
        <button type="button" class=${instance.drained ? "" : "grave"} disabled=${!may} onClick=${() => confirm(drain(instance, !instance.drained))}>
          ${instance.drained ? "Undrain …" : "Drain …"}
        </button>
      </div>
    </${Dialog}>`;
}

const FACTS = [
  ["attempts", (of) => count(of.requests)],
  ["failed", (of) => count(of.failures)],
  ["success lately", (of) => percent(of.success_rate)],
  ["in flight", (of) => count(of.in_flight)],
  ["latency, mean", (of) => seconds(of.latency_ewma)],
  ["latency, p95", (of) => seconds(of.latency_p95)],
  ["breaker", (of) => words(of.breaker)],
  ["ejections", (of) => count(of.ejections)],
];
