// Which dialog is open, and short notes of what was done.

import { change, now } from "./store.js";

const TOAST_MS = 6000;

/** Opens "help", "token", "instance", "rollout" or "confirm". */
export const open = (kind, about) => change({ dialog: { kind, about } });

/** Closes this dialog, where it has not given way to another. */
export const close = (dialog) => now().dialog === dialog && change({ dialog: null });

/** Asks before an action of `actions.js` is done. */
export const confirm = (action) => open("confirm", action);

export function toast(text) {
  const note = { text };
  change({ toasts: [...now().toasts, note] });
  setTimeout(() => change({ toasts: now().toasts.filter((each) => each !== note) }), TOAST_MS);
}
