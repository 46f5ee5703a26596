// The figures at a glance, over the last ten seconds or the last minute.

import { html } from "../vendor/htm-preact.js";
import { bytes, compact, count, NONE, percent, rate, seconds, usd } from "../lib/format.js";
import { quantile, recent, sum } from "../lib/stats.js";
import { useStore } from "../lib/store.js";

function Tile({ name, value, unit, note, raw, tone = "" }) {
  return html`
    <div class="tile ${tone}">
      <dt>${name}</dt>
      <dd><data class="figure" value=${raw}>${value}</data>${unit && html`<span class="unit">${unit}</span>`}<span class="note">${note}</span></dd>
    </div>`;
}

export function Tiles() {
  const points = useStore((state) => state.points);
  const bounds = useStore((state) => state.bounds);
  const status = useStore((state) => state.status);
  const budget = useStore((state) => state.budget);
  const short = sum(recent(points, 10));
  const minute = sum(recent(points, 60));
  return html`
    <dl class="tiles" aria-label="At a glance">
      <${Tile} name="Requests" value=${rate(short.calls / 10)} unit="/s" note=${`${compact(minute.calls)} in 1 min`} raw=${minute.calls} />
      <${Errors} of=${minute} />
      <${Latency} bounds=${bounds} counts=${minute.latencies} />
      <${Tile} name="Tokens" value=${rate(short.completion / 10)} unit="/s" note=${`${rate(short.prompt / 10)}/s read`} raw=${short.completion} />
      <${Inside} status=${status} />
      <${Cache} cache=${status?.cache} />
      <${Spent} budget=${budget} />
    </dl>`;
}

function Errors({ of }) {
  const share = of.calls ? of.errors / of.calls : 0;
  const tone = share > 0.05 ? "bad" : "";
  return html`<${Tile} name="Errors" value=${of.calls ? percent(share) : NONE} note=${`${compact(of.errors)} in 1 min`} raw=${of.errors} tone=${tone} />`;
}

function Latency({ bounds, counts }) {
  const at = (q) => quantile(bounds, counts, q);
  return html`<${Tile} name="Latency p95" value=${seconds(at(0.95))} note=${`p50 ${seconds(at(0.5))}`} raw=${at(0.95) ?? ""} />`;
}

function Inside({ status }) {
  const note = status?.max_in_flight ? `of ${compact(status.max_in_flight)}` : "no limit";
  return html`<${Tile} name="In flight" value=${count(status?.in_flight ?? 0)} note=${note} raw=${status?.in_flight ?? 0} />`;
}

function Cache({ cache }) {
  const hits = cache ? cache.hits + cache.near_hits : 0;
  const asked = cache ? hits + cache.misses : 0;
  return html`<${Tile} name="Cache hits" value=${asked ? percent(hits / asked, 0) : NONE} note=${cache ? bytes(cache.bytes) : ""} raw=${hits} />`;
}

function Spent({ budget }) {
  const note = budget?.cap_usd == null ? "no limit" : `of ${usd(budget.cap_usd)}`;
  const full = budget?.cap_usd && budget.spent_usd / budget.cap_usd > 0.9;
  return html`<${Tile} name="Spent this month" value=${usd(budget?.spent_usd ?? 0)} note=${note} raw=${budget?.spent_usd ?? 0} tone=${full ? "bad" : ""} />`;
}
