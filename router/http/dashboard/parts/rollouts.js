// The verdicts on canaries.

import { html } from "../vendor/htm-preact.js";
import { percent } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Badge } from "./badge.js";
import { Empty, Panel } from "./panel.js";
import { Arms } from "./rollout_arms.js";

export function Rollouts() {
  const rollouts = useStore((state) => state.rollouts);
  return html`
    <${Panel} id="rollouts" title="Rollouts">
      ${rollouts.length
        ? rollouts.map((each) => html`<${Verdict} key=${each.rollout.name} of=${each} />`)
        : html`<${Empty}>No model is being replaced. <a href="#/operate">Operate</a> starts a rollout: a canary gets a share of the calls, and is watched.</${Empty}>`}
    </${Panel}>`;
}

export const Verdict = ({ of }) => html`
  <article class="rollout" data-rollout=${of.rollout.name}>
    <div class="panel-head"><h3>${of.rollout.name}</h3><${Badge} state=${of.rollout.state} /></div>
    ${of.rollout.state === "running" && html`<${Steps} rollout=${of.rollout} />`}
    ${of.rollout.reason && html`<p class="quiet">${of.rollout.reason}</p>`}
    <${Arms} of=${of} />
  </article>`;

const Steps = ({ rollout }) => html`
  <ol class="steps" aria-label="Share of the canary">
    ${rollout.steps.map((share, step) => html`
      <li class=${step < rollout.step ? "past" : ""} aria-current=${step === rollout.step ? "step" : null}>${percent(share, 0)}</li>`)}
  </ol>`;
