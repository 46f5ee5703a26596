// How the mesh fares, on one page.

import { html } from "../vendor/htm-preact.js";
import { LatencyChart } from "../charts/latency.js";
import { RequestsChart } from "../charts/requests.js";
import { TokensChart } from "../charts/tokens.js";
import { useStore } from "../lib/store.js";
import { Cache } from "../parts/cache.js";
import { Latest } from "../parts/latest.js";
import { MeshMap } from "../parts/mesh_map.js";
import { Money } from "../parts/money.js";
import { Panel } from "../parts/panel.js";
import { Rollouts } from "../parts/rollouts.js";
import { SpanPicker } from "../parts/span_picker.js";
import { Tiers } from "../parts/tiers.js";
import { Tiles } from "../parts/tiles.js";

export function Overview() {
  return html`
    <h1 class="hidden">Overview</h1>
    <${Tiles} />
    <div class="grid">
      <${Panel} id="mesh" title="Mesh" note="traffic of the last 5 s" wide="span-all"><${MeshMap} /></${Panel}>
      <${Panel} id="requests" title="Requests" note=${html`<${Legend} of=${["calls", "failed"]} />`} actions=${html`<${SpanPicker} />`}><${RequestsChart} /><${Quiet} field="calls" /></${Panel}>
      <${Panel} id="latency" title="Latency" note="calls by how long they took"><${LatencyChart} /><${Quiet} field="calls" /></${Panel}>
      <${Panel} id="tokens" title="Tokens" note=${html`<${Legend} of=${["written", "read"]} />`}><${TokensChart} /><${Quiet} field="completion_tokens" says="No tokens were written in the last minutes. A chat writes some." /></${Panel}>
    </div>
    <div class="grid"><div class="column"><${Tiers} /><${Cache} /></div><${Money} /><${Rollouts} /></div>
    <${Latest} />`;
}

const Legend = ({ of }) => html`<span class="legend">${of.map((name) => html`<span class="key ${name}">${name}</span>`)}</span>`;

/** Over a chart that has nothing to show. */
function Quiet({ field, says = "No calls in the last minutes. Send one from the playground, or from any client." }) {
  const quiet = useStore((state) => state.points.slice(-state.span).every((point) => !point[field]));
  const known = useStore((state) => state.status !== null);
  return quiet && known && html`<p class="over">${says}</p>`;
}
