// Tokens per second, written and read.

import { html } from "../vendor/htm-preact.js";
import { count } from "../lib/format.js";
import { Chart } from "./chart.js";
import { lines } from "./lines.js";
import { useBins } from "./use_bins.js";

export function TokensChart() {
  const bins = useBins();
  const of = (field) => bins.reduce((all, bin) => all + bin[field], 0);
  const label = `Tokens per second: ${count(of("completion"))} written and ${count(of("prompt"))} read in sight`;
  return html`<${Chart} label=${label} version=${bins} option=${(colors) => option(colors, bins)} />`;
}

const option = (colors, bins) =>
  lines(colors, bins, [
    ["written", "completion", colors.accent],
    ["read", "prompt", colors["accent-2"], { areaStyle: undefined, lineStyle: { width: 1.6, type: [4, 3], color: colors["accent-2"] } }],
  ]);
