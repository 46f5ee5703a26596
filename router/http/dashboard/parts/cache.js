// What the cache saved.

import { html } from "../vendor/htm-preact.js";
import { bytes, count, percent } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Empty, Panel } from "./panel.js";
import { Bar } from "./bar.js";

export function Cache() {
  const cache = useStore((state) => state.status?.cache);
  const asked = cache ? cache.hits + cache.near_hits + cache.misses : 0;
  return html`
    <${Panel} id="cache" title="Cache" note=${cache && asked ? bytes(cache.bytes) : ""}>
      ${asked ? html`<${Shares} cache=${cache} asked=${asked} />` : html`<${Empty}>Nothing was looked up yet: answers that are determined are kept, where <code>router.cache</code> is enabled.</${Empty}>`}
    </${Panel}>`;
}

const Shares = ({ cache, asked }) => html`
  <ul class="bars">
    ${[["hit", cache.hits], ["near", cache.near_hits], ["miss", cache.misses]].map(([name, value]) => html`
      <li key=${name} data-cache=${name}><span>${name}</span><${Bar} share=${value / asked} tone=${name === "miss" ? "calm" : ""} />
        <span class="number"><data value=${value}><b>${count(value)}</b></data> <span class="quiet">${percent(value / asked, 0)}</span></span></li>`)}
  </ul>
  ${cache.audited > 0 && html`<p class="quiet">${count(cache.audited)} near hits were asked again; ${count(cache.false_hits)} would have been answered otherwise.</p>`}`;
