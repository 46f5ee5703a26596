// A state, as an icon and a word: never by colour alone.

import { html } from "../vendor/htm-preact.js";
import { words } from "../lib/format.js";
import { Icon } from "./icon.js";

const LOOKS = {
  ready: ["good", "check"],
  starting: ["calm", "clock"],
  draining: ["warn", "drain"],
  drained: ["warn", "drain"],
  down: ["bad", "cross"],
  ejected: ["bad", "eject"],
  asleep: ["calm", "clock"],
  waking: ["calm", "clock"],
  running: ["calm", "play"],
  promoted: ["good", "check"],
  rolled_back: ["bad", "cross"],
  inconclusive: ["warn", "clock"],
  loaded: ["good", "check"],
  unloaded: ["warn", "drain"],
  pinned: ["calm", "pin"],
  OK: ["good", "check"],
};

export function Badge({ state, says = words(state) }) {
  const [tone, icon] = LOOKS[state] ?? ["bad", "alert"];
  return html`<span class="badge ${tone}"><${Icon} name=${icon} />${says}</span>`;
}

const SOUND = ["ready", "draining"];

/** An instance's state, with what an operator said of it first, where nothing worse is the matter. */
export const stateOf = (instance) => (instance.drained && SOUND.includes(instance.state) ? "drained" : instance.state);
