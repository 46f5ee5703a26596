// All instances, with what operators do to them.

import { html } from "../vendor/htm-preact.js";
import { drain, mayOperate } from "../lib/actions.js";
import { confirm, open } from "../lib/dialogs.js";
import { count, NONE, percent, seconds, words } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Badge, stateOf } from "./badge.js";
import { Empty, Panel } from "./panel.js";

const HEADS = [
  ["Instance"],
  ["State"],
  ["Models"],
  ["In flight", "number"],
  ["Attempts", "number"],
  ["Failed", "number"],
  ["p95", "number"],
  ["Success", "number"],
  ["Breaker"],
  ["Ejections", "number"],
];

export function InstancesTable() {
  const instances = useStore((state) => state.instances);
  const may = useStore((state) => mayOperate(state.status));
  return html`
    <${Panel} id="instances" title="Instances" wide="span-all">
      ${instances.length
        ? html`<div class="scroll"><table class="cards">
            <thead><tr>${HEADS.map(([head, kind = ""]) => html`<th scope="col" class=${kind}>${head}</th>`)}<td></td></tr></thead>
            <tbody>${instances.map((each) => html`<${Row} key=${each.instance} of=${each} may=${may} />`)}</tbody>
          </table></div>`
        : html`<${Empty}>No instance yet: <code>[[workers]]</code> in the configuration starts some.</${Empty}>`}
    </${Panel}>`;
}

const Row = ({ of, may }) => html`
  <tr data-instance=${of.instance}>
    <th scope="row" data-label="Instance"><button type="button" class="link" aria-haspopup="dialog" onClick=${() => open("instance", of.instance)}>${of.instance}</button></th>
    <td data-label="State"><${Badge} state=${stateOf(of)} /></td>
    <td data-label="Models">${of.models.join(", ") || NONE}</td>
    <td data-label="In flight" class="number">${count(of.in_flight)}</td>
    <td data-label="Attempts" class="number"><data value=${of.requests}>${count(of.requests)}</data></td>
    <td data-label="Failed" class="number"><data value=${of.failures}>${count(of.failures)}</data></td>
    <td data-label="p95" class="number">${of.requests ? seconds(of.latency_p95) : NONE}</td>
    <td data-label="Success" class="number">${percent(of.success_rate)}</td>
    <td data-label="Breaker">${words(of.breaker)}</td>
    <td data-label="Ejections" class="number">${count(of.ejections)}</td>
    <td class="acts"><button type="button" aria-label=${`${of.drained ? "Undrain" : "Drain"} ${of.instance}`} disabled=${!may} onClick=${() => confirm(drain(of, !of.drained))}>${of.drained ? "Undrain" : "Drain"}</button></td>
  </tr>`;
