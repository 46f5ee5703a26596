// Calls and failures per second.

import { html } from "../vendor/htm-preact.js";
import { count } from "../lib/format.js";
import { Chart } from "./chart.js";
import { calls } from "./lines.js";
import { useBins } from "./use_bins.js";

export function RequestsChart() {
  const bins = useBins();
  const of = (field) => bins.reduce((all, bin) => all + bin[field], 0);
  const label = `Requests per second: ${count(of("calls"))} calls in sight, of which ${count(of("errors"))} failed`;
  return html`<${Chart} label=${label} version=${bins} option=${(colors) => calls(colors, bins, "calls")} />`;
}
