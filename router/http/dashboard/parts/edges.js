// The edges of the map: the wider and faster, the more calls went there in the last seconds.

import { html } from "../vendor/htm-preact.js";

export function Edges({ layout, rates }) {
  if (!layout) return null;
  return html`
    <svg class="edges" width=${layout.width} height=${layout.height} aria-hidden="true">
      ${Object.entries(layout.paths).map(([name, path]) => html`<${Edge} key=${name} path=${path} calls=${rates[name] ?? 0} />`)}
    </svg>`;
}

function Edge({ path, calls }) {
  const width = 1.5 + Math.min(7, Math.log2(1 + calls));
  return html`
    <path class="edge ${calls > 0 ? "busy" : ""}" d=${path} stroke-width=${width.toFixed(1)} />
    ${calls > 0 && html`<path class="flow ${pace(calls)}" d=${path} />`}`;
}

/** Three paces only: an animation whose speed changed every second would jump. */
function pace(calls) {
  if (calls < 3) return "slow";
  return calls < 30 ? "steady" : "fast";
}
