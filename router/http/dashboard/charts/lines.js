// Two lines over time: how much, and how much of it failed.

import { compact, rate } from "../lib/format.js";
import { axisTooltip, base, line, timeAxis, valueAxis } from "./style.js";

/** The sums of a field, per second. */
export const perSecond = (bins, field) => bins.map((bin) => [bin.at, bin[field] / bin.step]);

/** Lines of some bins; each is `[name, field, colour, more]`. */
export const lines = (colors, bins, all) => ({
  ...base(colors),
  xAxis: timeAxis(colors, bins),
  yAxis: valueAxis(colors, compact),
  tooltip: axisTooltip(colors, (value) => `${rate(value)}/s`),
  series: all.map(([name, field, color, more]) => line(name, color, perSecond(bins, field), more)),
});

export const calls = (colors, bins, name) =>
  lines(colors, bins, [
    [name, "calls", colors.accent],
    ["failed", "errors", colors.bad, { lineStyle: { width: 1.6, type: [4, 3], color: colors.bad } }],
  ]);
