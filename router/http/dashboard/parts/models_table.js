// All models, with what operators do to them.

import { html } from "../vendor/htm-preact.js";
import { load, mayOperate, pin, unload } from "../lib/actions.js";
import { confirm } from "../lib/dialogs.js";
import { NONE, usd } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Badge } from "./badge.js";
import { Empty, Panel } from "./panel.js";

const HEADS = [
  ["Model"],
  ["State"],
  ["Backend"],
  ["Tasks"],
  ["Tier"],
  ["Quality", "number"],
  ["Per 1k tokens", "number"],
  ["Slots", "number"],
];

export function ModelsTable() {
  const models = useStore((state) => state.models);
  const may = useStore((state) => mayOperate(state.status));
  return html`
    <${Panel} id="models" title="Models" wide="span-all">
      ${models.length
        ? html`<div class="scroll"><table class="cards">
            <thead><tr>${HEADS.map(([head, kind = ""]) => html`<th scope="col" class=${kind}>${head}</th>`)}<td></td></tr></thead>
            <tbody>${models.map((each) => html`<${Row} key=${each.name} of=${each} may=${may} />`)}</tbody>
          </table></div>`
        : html`<${Empty}>No instance serves a model.</${Empty}>`}
    </${Panel}>`;
}

const Row = ({ of, may }) => html`
  <tr data-model=${of.name}>
    <th scope="row" data-label="Model">${of.name} <span class="quiet">${of.version}</span></th>
    <td data-label="State"><${Badge} state=${of.unloaded ? "unloaded" : "loaded"} />${of.pinned && html` <${Badge} state="pinned" />`}</td>
    <td data-label="Backend">${of.backend}</td>
    <td data-label="Tasks">${of.tasks.join(", ")}</td>
    <td data-label="Tier">${!of.tier || of.tier === "unspecified" ? NONE : of.tier}</td>
    <td data-label="Quality" class="number">${of.quality.toFixed(2)}</td>
    <td data-label="Per 1k tokens" class="number">${price(of)}</td>
    <td data-label="Slots" class="number">${of.slots || NONE}</td>
    <td class="acts">
      ${of.unloaded
        ? html`<button type="button" aria-label=${`Load ${of.name}`} disabled=${!may} onClick=${() => confirm(load(of))}>Load</button>`
        : html`<button type="button" aria-label=${`Unload ${of.name}`} disabled=${!may || of.pinned} title=${of.pinned ? "Unpin it first" : null} onClick=${() => confirm(unload(of))}>Unload</button>`}
      <button type="button" aria-label=${`${of.pinned ? "Unpin" : "Pin"} ${of.name}`} disabled=${!may} onClick=${() => confirm(pin(of, !of.pinned))}>${of.pinned ? "Unpin" : "Pin"}</button>
    </td>
  </tr>`;

function price(of) {
  if (!of.cost_per_1k_tokens_usd && !of.cost_per_1k_output_tokens_usd) return "free";
  const out = of.cost_per_1k_output_tokens_usd;
  return usd(of.cost_per_1k_tokens_usd) + (out ? ` in, ${usd(out)} out` : "");
}
