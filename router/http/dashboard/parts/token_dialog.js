// Where the mesh wants to know who asks.

import { html } from "../vendor/htm-preact.js";
import { keepToken, token } from "../lib/api.js";
import { again } from "../lib/live.js";
import { useStore } from "../lib/store.js";
import { Dialog } from "./dialog.js";

export function TokenDialog({ onClose }) {
  const denied = useStore((state) => state.link === "denied" && state.trouble);
  const keep = (event) => {
    event.preventDefault();
    keepToken(new FormData(event.target).get("token").trim());
    onClose();
    again();
  };
  const forget = () => {
    keepToken("");
    onClose();
    again();
  };
  return html`
    <${Dialog} title="Token" kind="small" onClose=${onClose}>
      <form onSubmit=${keep}>
        ${denied && html`<p class="error">${denied}</p>`}
        <p>A mesh with tokens shows itself to those of the role <code>operate</code> or <code>admin</code>.
          <code>waypost token create --role operate</code> makes one.</p>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required />
        <p class="quiet">It is kept in this tab until it is closed, and sent to this gateway only.</p>
        <div class="dialog-foot">
          ${token() && html`<button type="button" onClick=${forget}>Forget the one in use</button>`}
          <button type="submit" class="primary">Use it</button>
        </div>
      </form>
    </${Dialog}>`;
}
