// What the charts have in common.

import { clock } from "../lib/format.js";

const text = (colors) => ({ color: colors.muted, fontFamily: colors.font, fontSize: 11 });

/** Tooltips are drawn on the canvas: as HTML they would bring styles that the page's policy refuses. */
export const tooltip = (colors, more) => ({
  renderMode: "richText",
  confine: true,
  transitionDuration: 0,
  backgroundColor: colors.surface,
  borderColor: colors.line,
  padding: 8,
  textStyle: { ...text(colors), color: colors.text, fontSize: 12 },
  ...more,
});

export const base = (colors) => ({
  animation: false,
  textStyle: { fontFamily: colors.font },
  grid: { left: 44, right: 10, top: 10, bottom: 22 },
});

/** A way to write the times of an axis: with seconds where all of it is within few minutes. */
export function clockOf(bins) {
  const letters = bins.length && bins.at(-1).at - bins[0].at < 150_000 ? 8 : 5;
  return (at) => clock(Number(at)).slice(0, letters);
}

export const timeAxis = (colors, bins) => ({
  type: "time",
  min: bins[0]?.at,
  max: bins.at(-1)?.at,
  splitNumber: 5,
  axisLine: { lineStyle: { color: colors.line } },
  axisTick: { show: false },
  axisLabel: { ...text(colors), hideOverlap: true, formatter: clockOf(bins) },
  axisPointer: { lineStyle: { color: colors.muted } },
});

export const valueAxis = (colors, formatter) => ({
  type: "value",
  min: 0,
  splitNumber: 3,
  axisLabel: { ...text(colors), formatter },
  splitLine: { lineStyle: { color: colors.line } },
});

export const line = (name, color, data, more) => ({
  name,
  type: "line",
  data,
  showSymbol: false,
  color,
  lineStyle: { width: 1.6, color },
  areaStyle: { color, opacity: 0.14 },
  ...more,
});

/** What a tooltip over lines says; `say` writes a value. */
export const axisTooltip = (colors, say) =>
  tooltip(colors, {
    trigger: "axis",
    formatter: (all) => [clock(all[0].value[0]), ...all.map((each) => `${each.seriesName}  ${say(each.value[1])}`)].join("\n"),
  });
