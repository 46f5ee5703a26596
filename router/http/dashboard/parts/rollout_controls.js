// Rollouts, with what moves them.

import { html } from "../vendor/htm-preact.js";
import { mayOperate, promote, rollBack, stepRollout } from "../lib/actions.js";
import { confirm, open } from "../lib/dialogs.js";
import { percent } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Empty, Panel } from "./panel.js";
import { Verdict } from "./rollouts.js";

export function RolloutControls() {
  const rollouts = useStore((state) => state.rollouts);
  const may = useStore((state) => mayOperate(state.status));
  const start = html`<button type="button" class="panel-link" disabled=${!may} onClick=${() => open("rollout")}>Start a rollout …</button>`;
  return html`
    <${Panel} id="rollout-controls" title="Rollouts" actions=${start}>
      ${rollouts.length
        ? rollouts.map((each) => html`<div key=${each.rollout.name}><${Verdict} of=${each} /><${Moves} rollout=${each.rollout} may=${may} /></div>`)
        : html`<${Empty}>No model is being replaced.</${Empty}>`}
    </${Panel}>`;
}

function Moves({ rollout, may }) {
  if (rollout.state !== "running") return null;
  const next = rollout.steps[rollout.step + 1];
  const move = (name, action, grave) => html`
    <button type="button" class=${grave ? "grave" : ""} aria-label=${`${name}: ${rollout.name}`} disabled=${!may} onClick=${() => confirm(action(rollout))}>${name}</button>`;
  return html`
    <div class="moves">
      ${next !== undefined && move(`On to ${percent(next, 0)}`, stepRollout)}${move("Promote", promote)}${move("Roll back", rollBack, true)}
    </div>`;
}
