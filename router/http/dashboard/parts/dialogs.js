// The dialog that is open, and the notes of what was done.

import { html } from "../vendor/htm-preact.js";
import { close } from "../lib/dialogs.js";
import { useStore } from "../lib/store.js";
import { Confirm } from "./confirm.js";
import { HelpDialog } from "./help_dialog.js";
import { InstanceDialog } from "./instance_dialog.js";
import { RolloutDialog } from "./rollout_dialog.js";
import { TokenDialog } from "./token_dialog.js";

const KINDS = {
  confirm: ({ about, onClose }) => html`<${Confirm} action=${about} onClose=${onClose} />`,
  help: HelpDialog,
  instance: InstanceDialog,
  rollout: RolloutDialog,
  token: TokenDialog,
};

export function Dialogs() {
  const dialog = useStore((state) => state.dialog);
  if (!dialog) return null;
  // Another dialog is another element, which opens anew; one that was replaced may not close its successor.
  const closed = () => close(dialog);
  return html`<${KINDS[dialog.kind]} key=${dialog.kind} about=${dialog.about} onClose=${closed} />`;
}

export function Toasts() {
  const toasts = useStore((state) => state.toasts);
  return html`<div class="toasts" role="status">${toasts.map((each) => html`<p class="toast">${each.text}</p>`)}</div>`;
}
