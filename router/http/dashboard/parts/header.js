// The head of the page: where one is, how the link to the mesh is, and what holds for all views.

import { html } from "../vendor/htm-preact.js";
import { setTheme, theme, THEMES } from "../lib/colors.js";
import { open } from "../lib/dialogs.js";
import { pause } from "../lib/live.js";
import { VIEWS } from "../lib/route.js";
import { useStore } from "../lib/store.js";
import { Icon } from "./icon.js";

const LINKS = {
  connecting: ["calm", "clock", "Connecting"],
  live: ["good", "circle", "Live"],
  paused: ["calm", "pause", "Paused"],
  denied: ["warn", "key", "Token needed"],
  "router-away": ["bad", "alert", "Router away"],
  "gateway-away": ["bad", "alert", "Gateway away"],
};

const THEME_ICONS = { system: "system", light: "sun", dark: "moon" };

export function Header({ view }) {
  return html`
    <header class="top">
      <div class="brand"><${Mark} /><span class="brand-name">Waypost</span><${Mesh} /></div>
      <nav aria-label="Views"><ul>
        ${VIEWS.map((each) => html`
          <li><a href="#/${each.name}" aria-current=${each.name === view ? "page" : null}>${each.title}</a></li>`)}
      </ul></nav>
      <div class="top-tools"><${Link} /><${Pause} /><${Theme} />
        <button type="button" class="bare" aria-label="Token" title="Token" onClick=${() => open("token")}><${Icon} name="key" /></button>
        <button type="button" class="bare" aria-label="Keyboard shortcuts" title="Keyboard shortcuts" onClick=${() => open("help")}>?</button>
      </div>
    </header>`;
}

const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="M5 9l5 15 6-13 6 13 5-15" /><circle cx="5" cy="8" r="2.5" /><circle cx="27" cy="8" r="2.5" /></svg>`;

function Mesh() {
  const status = useStore((state) => state.status);
  return html`<span class="brand-mesh">${status ? `${status.instance} · ${status.version}` : ""}</span>`;
}

function Link() {
  const link = useStore((state) => state.link);
  const [tone, icon, says] = LINKS[link];
  return html`<span class="badge link-state ${tone}" role="status" data-link=${link}><${Icon} name=${icon} />${says}</span>`;
}

function Pause() {
  const paused = useStore((state) => state.link === "paused");
  const says = paused ? "Go on" : "Pause";
  return html`<button type="button" class="bare" aria-label=${says} title=${says} onClick=${() => pause(!paused)}><${Icon} name=${paused ? "play" : "pause"} /></button>`;
}

function Theme() {
  useStore((state) => state.theme);
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  const says = `Theme: ${theme()}; switch to ${next}`;
  return html`<button type="button" class="bare" aria-label=${says} title=${says} onClick=${() => setTheme(next)}><${Icon} name=${THEME_ICONS[theme()]} /></button>`;
}
