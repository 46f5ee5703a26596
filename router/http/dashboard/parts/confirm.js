// Says what an action will do, does it when told to, and shows why it failed.

import { html, useState } from "../vendor/htm-preact.js";
import { ask } from "../lib/api.js";
import { open, toast } from "../lib/dialogs.js";
import { Dialog } from "./dialog.js";

export function Confirm({ action, onClose }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await ask(action.path, { body: action.body });
      onClose();
      toast(`${action.done} The audit log has it.`);
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title=${action.title} kind="small" onClose=${onClose}>
      <form onSubmit=${run}>
        ${action.says.map((sentence) => html`<p>${sentence}</p>`)}
        ${error && html`
          <p class="error" role="alert">${error.message}
            ${error.wantsToken && html` <button type="button" class="link" onClick=${() => open("token")}>Enter a token</button>`}
          </p>`}
        <div class="dialog-foot">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class=${action.grave ? "primary grave" : "primary"} disabled=${busy}>${action.button}</button>
        </div>
      </form>
    </${Dialog}>`;
}
