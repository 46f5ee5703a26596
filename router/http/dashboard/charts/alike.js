// How alike texts are, each to each.

import { base, tooltip } from "./style.js";

const LONGEST = 18;

const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

export function alike(colors, texts, rows) {
  const cells = rows.flatMap((row, y) => row.map((value, x) => [x, y, Number(value.toFixed(3))]));
  const axis = { type: "category", data: texts.map(short), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: colors.muted, fontSize: 11 } };
  return {
    ...base(colors),
    grid: { left: 130, right: 10, top: 8, bottom: 40 },
    xAxis: { ...axis, axisLabel: { ...axis.axisLabel, interval: 0, width: 90, overflow: "truncate" } },
    yAxis: { ...axis, inverse: true },
    visualMap: { show: false, min: 0, max: 1, inRange: { color: [colors["heat-0"], colors["heat-1"]] } },
    tooltip: tooltip(colors, { formatter: ({ value: [x, y, like] }) => `${texts[y]}\n${texts[x]}\n${like.toFixed(3)}` }),
    series: [{ type: "heatmap", data: cells, label: { show: true, color: colors.text, formatter: ({ value }) => value[2].toFixed(2) }, itemStyle: { borderColor: colors.surface, borderWidth: 2 } }],
  };
}
