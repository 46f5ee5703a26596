// The seconds in sight, in steps; computed anew only when a step is over.

import { useMemo } from "../vendor/htm-preact.js";
import { bins, stepOf } from "../lib/stats.js";
import { useStore } from "../lib/store.js";

export function useBins() {
  const span = useStore((state) => state.span);
  const points = useStore((state) => state.points);
  const end = Math.floor((points.at(-1)?.at ?? 0) / (stepOf(span) * 1000));
  return useMemo(() => bins(points, span), [span, end, points[0]?.at]);
}
