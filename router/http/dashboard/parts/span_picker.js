// How far back the charts look.

import { html } from "../vendor/htm-preact.js";
import { change, useStore } from "../lib/store.js";

const SPANS = [60, 300, 900];

export function SpanPicker() {
  const span = useStore((state) => state.span);
  const pick = (wanted) => {
    localStorage.setItem("waypost.span", wanted);
    change({ span: wanted });
  };
  return html`
    <div class="switch" role="group" aria-label="Time that the charts show">
      ${SPANS.map((each) => html`
        <button type="button" aria-pressed=${String(each === span)} onClick=${() => pick(each)}>${each / 60} min</button>`)}
    </div>`;
}
