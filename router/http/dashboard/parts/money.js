// What the month has cost, against what it may.

import { html } from "../vendor/htm-preact.js";
import { CostChart } from "../charts/cost.js";
import { compact, usd } from "../lib/format.js";
import { sum } from "../lib/stats.js";
import { useStore } from "../lib/store.js";
import { Bar } from "./bar.js";
import { Empty, Panel } from "./panel.js";

export function Money() {
  const budget = useStore((state) => state.budget);
  const tenants = useStore((state) => state.tenants);
  const points = useStore((state) => state.points);
  const perHour = (sum(points).cost * 3600) / Math.max(1, points.length);
  return html`
    <${Panel} id="money" title="Budget" note=${budget?.month}>
      ${budget ? html`<${Spend} name="all calls" of=${budget} />` : html`<${Empty}>The router has not told it yet.</${Empty}>`}
      ${tenants.map((each) => html`<${Spend} key=${each.tenant} name=${each.tenant} of=${each} />`)}
      ${budget && html`<p class="quiet">${usd(perHour)} per hour at the pace of the last ${Math.ceil(points.length / 60)} min</p><${CostChart} /><${Models} of=${budget.models} />`}
    </${Panel}>`;
}

function Spend({ name, of }) {
  const cap = of.cap_usd;
  const share = cap ? of.spent_usd / cap : 0;
  return html`
    <div class="spend">
      <p><span>${name}</span> <span><b>${usd(of.spent_usd)}</b> <span class="quiet">${cap == null ? "no limit" : `of ${usd(cap)}`}${of.reserved_usd > 0 ? `, ${usd(of.reserved_usd)} held` : ""}</span></span></p>
      ${cap != null && html`<${Bar} share=${share} more=${of.reserved_usd / cap} tone=${share > 0.9 ? "bad" : ""} />`}
    </div>`;
}

const MODELS = 4;

function Models({ of }) {
  const dearest = of.filter((each) => each.calls).sort((one, two) => two.spent_usd - one.spent_usd).slice(0, MODELS);
  if (!dearest.length) return html`<p class="quiet">No call of a model with a price this month.</p>`;
  return html`<ul class="rows">${dearest.map((each) => html`
    <li key=${each.model}><span>${each.model}</span><span class="quiet">${compact(each.calls)} calls</span><span class="number">${usd(each.spent_usd)}</span></li>`)}</ul>`;
}
