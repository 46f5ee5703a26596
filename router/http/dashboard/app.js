// The page: its head, one view, and what lies over it.

import { html, render, useEffect } from "./vendor/htm-preact.js";
import { listen } from "./lib/keys.js";
import { follow } from "./lib/live.js";
import { useRoute, VIEWS } from "./lib/route.js";
import { useStore } from "./lib/store.js";
import { Dialogs, Toasts } from "./parts/dialogs.js";
import { Header } from "./parts/header.js";
import { Trouble } from "./parts/trouble.js";
import { Decisions } from "./views/decisions.js";
import { Operate } from "./views/operate.js";
import { Overview } from "./views/overview.js";
import { Playground } from "./views/playground.js";

const SHOWN = { overview: Overview, decisions: Decisions, playground: Playground, operate: Operate };

function App() {
  const { view, rest } = useRoute();
  const stale = useStore((state) => state.link !== "live" && state.link !== "connecting");
  useEffect(() => {
    document.title = `${VIEWS.find((each) => each.name === view).title} · Waypost`;
  }, [view]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} view=${view} />
    <main id="main" class="page ${stale ? "stale" : ""}" tabindex="-1"><${SHOWN[view]} rest=${rest} /></main>
    <${Trouble} /><${Toasts} /><${Dialogs} />`;
}

/** The fragment says which view is shown, so the link may not change it. */
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
listen();
follow();
