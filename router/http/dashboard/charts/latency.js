// How many calls took how long: time by bucket.

import { html } from "../vendor/htm-preact.js";
import { clock, count, plural, seconds } from "../lib/format.js";
import { quantile } from "../lib/stats.js";
import { useStore } from "../lib/store.js";
import { Chart } from "./chart.js";
import { base, clockOf, timeAxis, tooltip } from "./style.js";
import { useBins } from "./use_bins.js";

export function LatencyChart() {
  const bins = useBins();
  const bounds = useStore((state) => state.bounds);
  const option = (colors) => heat(colors, bins, bounds);
  return html`<${Chart} label=${label(bins, bounds)} version=${bins} option=${option} />`;
}

function label(bins, bounds) {
  const all = bins.reduce((sum, bin) => bin.latencies.map((value, bucket) => value + (sum[bucket] ?? 0)).concat(sum.slice(bin.latencies.length)), []);
  const calls = all.reduce((sum, value) => sum + value, 0);
  const at = (q) => seconds(quantile(bounds, all, q));
  return `Latency heatmap: ${plural(calls, "call")} in sight${calls ? `, half within ${at(0.5)}, 95 % within ${at(0.95)}` : ""}`;
}

/** The buckets that anything is in, with one more on each side: not forty empty rows. */
function rows(bins, bounds) {
  const used = bins.flatMap((bin) => bin.latencies.flatMap((value, bucket) => (value ? [bucket] : [])));
  if (!used.length) return { low: 0, high: Math.min(bounds.length, 8) };
  return { low: Math.max(0, Math.min(...used) - 1), high: Math.min(bounds.length, Math.max(...used) + 1) };
}

const name = (bounds, bucket) => (bucket < bounds.length ? `≤ ${seconds(bounds[bucket])}` : `> ${seconds(bounds.at(-1))}`);

function heat(colors, bins, bounds) {
  const { low, high } = rows(bins, bounds);
  const cells = bins.flatMap((bin, column) =>
    bin.latencies.slice(low, high + 1).flatMap((value, row) => (value ? [[column, row, value]] : [])),
  );
  const names = Array.from({ length: high - low + 1 }, (_, row) => name(bounds, low + row));
  const { axisLine, axisLabel } = timeAxis(colors, bins);
  const label = { ...axisLabel, formatter: clockOf(bins), interval: Math.floor(bins.length / 5) };
  return {
    ...base(colors),
    grid: { left: 64, right: 10, top: 6, bottom: 22 },
    xAxis: { type: "category", data: bins.map((bin) => bin.at), axisLine, axisTick: { show: false }, axisLabel: label },
    yAxis: { type: "category", data: names, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { ...axisLabel, formatter: undefined }, splitArea: { show: true, areaStyle: { color: [colors["heat-0"], colors["heat-0"]] } } },
    visualMap: { show: false, min: 1, max: Math.max(2, ...cells.map((cell) => cell[2])), inRange: { color: [colors["heat-1"], colors.accent], opacity: [0.35, 1] } },
    tooltip: tooltip(colors, { formatter: (cell) => said(cell, bins, names) }),
    series: [{ type: "heatmap", data: cells, progressive: 0, itemStyle: { borderColor: colors.surface, borderWidth: 0.5 } }],
  };
}

const said = ({ value: [column, row, calls] }, bins, names) => `${clock(bins[column].at)}\n${names[row]}  ${count(calls)} calls`;
