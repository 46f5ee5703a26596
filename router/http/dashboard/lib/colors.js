// The theme's colours for what is drawn on a canvas, and the choice between light and dark.

import { change, now } from "./store.js";

const KEY = "waypost.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const THEMES = ["system", "light", "dark"];

export const theme = () => document.documentElement.dataset.theme ?? "system";

export function setTheme(wanted) {
  if (wanted === "system") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, wanted);
    document.documentElement.dataset.theme = wanted;
  }
  changed();
}

const changed = () => change({ theme: now().theme + 1 });

dark.addEventListener("change", changed);

/** Colours by their names in tokens.css, resolved: a canvas does not know `var()` nor `light-dark()`. */
export function colors() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const resolved = {};
  for (const name of ["text", "muted", "line", "surface", "sunken", "accent", "accent-2", "bad", "heat-0", "heat-1"]) {
    probe.style.color = `var(--${name})`;
    resolved[name] = getComputedStyle(probe).color;
  }
  resolved.font = getComputedStyle(probe).fontFamily;
  probe.remove();
  return resolved;
}
