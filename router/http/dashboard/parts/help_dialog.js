// The shortcuts, and whether they are on.

import { html, useState } from "../vendor/htm-preact.js";
import { enable, enabled, SHORTCUTS } from "../lib/keys.js";
import { Dialog } from "./dialog.js";

export function HelpDialog({ onClose }) {
  const [on, setOn] = useState(enabled());
  const turn = (event) => {
    enable(event.target.checked);
    setOn(event.target.checked);
  };
  return html`
    <${Dialog} title="Keyboard" kind="small" onClose=${onClose}>
      <dl class="keys">
        ${SHORTCUTS.map((each) => html`<div><dt><kbd>${each.key}</kbd></dt><dd>${each.says}</dd></div>`)}
        <div><dt><kbd>Esc</kbd></dt><dd>Close what is open</dd></div>
        <div><dt><kbd>Tab</kbd></dt><dd>From one control to the next</dd></div>
      </dl>
      <label class="check"><input type="checkbox" checked=${on} onChange=${turn} /> Shortcuts of one key</label>
    </${Dialog}>`;
}
