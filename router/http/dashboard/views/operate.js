// What operators change, each after it was said what will happen.

import { html } from "../vendor/htm-preact.js";
import { mayOperate } from "../lib/actions.js";
import { useStore } from "../lib/store.js";
import { InstancesTable } from "../parts/instances_table.js";
import { LogLevel } from "../parts/log_level.js";
import { ModelsTable } from "../parts/models_table.js";
import { RolloutControls } from "../parts/rollout_controls.js";
import { Weights } from "../parts/weights.js";

export function Operate() {
  const may = useStore((state) => mayOperate(state.status));
  return html`
    <h1 class="hidden">Operate</h1>
    ${!may && html`<p class="notice">Your token may look, and not change anything: that needs the role <code>operate</code>.</p>`}
    <${InstancesTable} />
    <${ModelsTable} />
    <div class="grid"><${RolloutControls} /><div class="stack"><${Weights} /><${LogLevel} /></div></div>`;
}
