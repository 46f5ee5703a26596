// Shortcuts of one letter.  They can be switched off: who speaks to the page, or hits keys by mistake, may need that.

import { setTheme, theme, THEMES } from "./colors.js";
import { open } from "./dialogs.js";
import { pause } from "./live.js";
import { go, VIEWS } from "./route.js";
import { change, now } from "./store.js";

const KEY = "waypost.keys";

export const enabled = () => localStorage.getItem(KEY) !== "off";
export const enable = (on) => localStorage.setItem(KEY, on ? "on" : "off");

/** Key, what it does in words, and how. */
export const SHORTCUTS = [
  ...VIEWS.map((view, index) => ({ key: String(index + 1), says: view.title, run: () => go(view.name) })),
  { key: "/", says: "Search the decisions", run: search },
  { key: "p", says: "Pause and go on", run: () => pause(now().link !== "paused") },
  { key: "t", says: "Light, dark, or as the system has it", run: nextTheme },
  { key: "?", says: "This list", run: () => open("help") },
];

export function listen() {
  addEventListener("keydown", (event) => {
    if (!enabled() || event.ctrlKey || event.metaKey || event.altKey || busy(event.target)) return;
    const found = SHORTCUTS.find((each) => each.key === event.key);
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

const busy = (target) => target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]");

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
}

function search() {
  change({ seek: true });
  go("decisions");
}
