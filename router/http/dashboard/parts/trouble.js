// A note over the page while it does not live: what is shown is old.

import { html } from "../vendor/htm-preact.js";
import { open } from "../lib/dialogs.js";
import { clock } from "../lib/format.js";
import { again, pause } from "../lib/live.js";
import { useStore } from "../lib/store.js";
import { Icon } from "./icon.js";

const TITLES = {
  "router-away": "The router is away",
  "gateway-away": "The gateway is away",
  denied: "This mesh wants to know who asks",
  paused: "Paused",
};

export function Trouble() {
  const link = useStore((state) => state.link);
  const trouble = useStore((state) => state.trouble);
  const last = useStore((state) => state.points.at(-1)?.time);
  if (!TITLES[link]) return null;
  return html`
    <aside class="trouble ${link}" role="status">
      <${Icon} name=${link === "paused" ? "pause" : "alert"} />
      <p><strong>${TITLES[link]}.</strong> ${trouble} ${last && `What you see is of ${clock(last)}.`}</p>
      <${Way} link=${link} />
    </aside>`;
}

function Way({ link }) {
  if (link === "denied") return html`<button type="button" onClick=${() => open("token")}>Enter a token</button>`;
  if (link === "paused") return html`<button type="button" onClick=${() => pause(false)}>Go on</button>`;
  return html`<button type="button" onClick=${again}>Try now</button>`;
}
