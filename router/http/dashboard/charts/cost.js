// What calls cost per hour, at the pace of each moment.

import { html } from "../vendor/htm-preact.js";
import { usd } from "../lib/format.js";
import { Chart } from "./chart.js";
import { axisTooltip, base, line, timeAxis, valueAxis } from "./style.js";
import { useBins } from "./use_bins.js";

export function CostChart() {
  const bins = useBins();
  const total = bins.reduce((all, bin) => all + bin.cost, 0);
  if (!total) return null;
  return html`<${Chart} label=${`Cost: ${usd(total)} in sight`} version=${bins} height=${120} option=${(colors) => option(colors, bins)} />`;
}

/** On the axis: no cents where there are dollars. */
const short = (value) => (value >= 10 ? `$${value}` : usd(value));

const option = (colors, bins) => ({
  ...base(colors),
  xAxis: timeAxis(colors, bins),
  yAxis: valueAxis(colors, short),
  tooltip: axisTooltip(colors, (value) => `${usd(value)} per hour`),
  series: [line("cost", colors.accent, bins.map((bin) => [bin.at, (bin.cost * 3600) / bin.step]))],
});
