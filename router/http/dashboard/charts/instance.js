// Attempts per second at one instance.

import { html, useMemo } from "../vendor/htm-preact.js";
import { count } from "../lib/format.js";
import { bins } from "../lib/stats.js";
import { useStore } from "../lib/store.js";
import { Chart } from "./chart.js";
import { calls } from "./lines.js";

const NOTHING = { calls: 0, errors: 0 };

export function InstanceChart({ instance }) {
  const span = useStore((state) => state.span);
  const points = useStore((state) => state.points);
  const shown = useMemo(() => bins(points.map((point) => alone(point, instance)), span), [points, span, instance]);
  const total = shown.reduce((all, bin) => all + bin.calls, 0);
  const label = `Attempts per second at ${instance}: ${count(total)} in sight`;
  return html`<${Chart} label=${label} version=${shown} height=${150} option=${(colors) => calls(colors, shown, "attempts")} />`;
}

function alone(point, instance) {
  const { calls, errors } = point.instances.find((each) => each.instance === instance) ?? NOTHING;
  return { ...point, calls, errors };
}
