// What a new rollout is to be.

import { html, useState } from "../vendor/htm-preact.js";
import { startRollout } from "../lib/actions.js";
import { confirm } from "../lib/dialogs.js";
import { useStore } from "../lib/store.js";
import { Dialog } from "./dialog.js";

export function RolloutDialog({ onClose }) {
  const models = useStore((state) => state.models);
  const [error, setError] = useState("");
  const names = models.map((each) => each.name);
  const start = (event) => {
    event.preventDefault();
    const wanted = read(new FormData(event.target));
    const wrong = problem(wanted);
    setError(wrong);
    if (!wrong) confirm(startRollout(wanted));
  };
  return html`
    <${Dialog} title="Start a rollout" kind="small" onClose=${onClose}>
      <form onSubmit=${start}>
        <label for="rollout-name">Name that callers use</label>
        <input id="rollout-name" name="name" required pattern="[A-Za-z0-9._\\-]+" spellcheck="false" autocomplete="off" />
        <${Choice} name="stable" label="Stable model" names=${names} chosen=${names[0]} />
        <${Choice} name="canary" label="Canary" names=${names} chosen=${names[1]} />
        <label for="rollout-steps">Shares of the canary, in percent</label>
        <input id="rollout-steps" name="steps" value="10, 30, 80" required inputmode="decimal" />
        <label for="rollout-shadow">Copies of the other calls, in percent</label>
        <input id="rollout-shadow" name="shadow" type="number" min="0" max="100" value="0" />
        ${error && html`<p class="error" role="alert">${error}</p>`}
        <div class="dialog-foot"><button type="submit" class="primary">Go on …</button></div>
      </form>
    </${Dialog}>`;
}

const Choice = ({ name, label, names, chosen }) => html`
  <label for=${`rollout-${name}`}>${label}</label>
  <select id=${`rollout-${name}`} name=${name}>${names.map((each) => html`<option value=${each} selected=${each === chosen}>${each}</option>`)}</select>`;

function read(form) {
  const steps = form.get("steps").split(/[,\s]+/).filter(Boolean).map((each) => Number(each) / 100);
  const shadow_share = Number(form.get("shadow")) / 100;
  return { name: form.get("name").trim(), stable: form.get("stable"), canary: form.get("canary"), steps, shadow_share };
}

function problem({ stable, canary, steps }) {
  if (stable === canary) return "The canary is the stable model: choose two.";
  if (!steps.length || steps.some((share) => !(share > 0 && share <= 1))) return "Shares are numbers above 0 and at most 100, such as 10, 30, 80.";
  return "";
}
