// Fields that several forms of the playground have.

import { html } from "../vendor/htm-preact.js";
import { useStore } from "../lib/store.js";

export const TIERS = ["simple", "medium", "high", "creative", "premium"];

export function ModelField({ id, task }) {
  const models = useStore((state) => state.models);
  const names = models.filter((each) => each.tasks.includes(task) && !each.unloaded).map((each) => each.name);
  return html`
    <div><label for=${id}>Model</label>
      <select id=${id} name="model"><option value="">automatic</option>${names.map((each) => html`<option value=${each}>${each}</option>`)}</select></div>`;
}

export const TierField = ({ id }) => html`
  <div><label for=${id}>Tier</label>
    <select id=${id} name="tier"><option value="">automatic</option>${TIERS.map((each) => html`<option value=${each}>${each}</option>`)}</select></div>`;

export const TextField = ({ id, name, label, rows, text, onKeyDown }) => html`
  <label for=${id}>${label}</label>
  <textarea id=${id} name=${name} rows=${rows} required onKeyDown=${onKeyDown}>${text}</textarea>`;

/** What is chosen, without what is left to the router. */
export const chosen = (form) => (form.get("model") ? { model: form.get("model") } : {});
