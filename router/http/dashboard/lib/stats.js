// What the charts and tiles show, computed from the router's seconds.

/** The points of the last `span` seconds. */
export function recent(points, span) {
  const from = (points.at(-1)?.at ?? 0) - span * 1000;
  return points.filter((point) => point.at > from);
}

/** All that happened in these seconds. */
export function sum(points) {
  const of = (name) => points.reduce((all, point) => all + point[name], 0);
  return {
    calls: of("calls"),
    errors: of("errors"),
    completion: of("completion_tokens"),
    prompt: of("prompt_tokens"),
    cost: of("cost_usd"),
    hits: of("cache_hits"),
    latencies: added(points.map((point) => point.latencies)),
  };
}

function added(rows) {
  const all = Array(Math.max(0, ...rows.map((row) => row.length))).fill(0);
  for (const row of rows) row.forEach((value, bucket) => (all[bucket] += value));
  return all;
}

/** Seconds that one bar or step of a chart stands for, so that about 60 to 90 are in sight. */
export const stepOf = (span) => Math.max(1, Math.round(span / 75));

/**
 * Sums of `step` seconds each over the last `span`, cut at whole multiples of the step so that they stay as they are
 * while time goes on.  The last, which is not over, is left out.
 */
export function bins(points, span, step = stepOf(span)) {
  const width = step * 1000;
  const end = Math.floor((points.at(-1)?.at ?? 0) / width) * width;
  const number = Math.round(span / step);
  const groups = Array.from({ length: number }, () => []);
  for (const point of points) {
    const back = Math.floor((end - point.at) / width);
    if (point.at <= end && back < number) groups[number - 1 - back].push(point);
  }
  return groups.map((group, index) => ({ at: end - (number - 1 - index) * width, step, ...sum(group) }));
}

/**
 * The value below which a share `q` of what is in the buckets lies, linear within a bucket as Prometheus has it; null
 * where nothing is.
 */
export function quantile(bounds, counts, q) {
  const all = counts.reduce((total, value) => total + value, 0);
  if (!all) return null;
  let left = q * all;
  let bucket = 0;
  for (; bucket < counts.length - 1 && left > counts[bucket]; bucket++) left -= counts[bucket];
  if (bucket >= bounds.length) return bounds.at(-1) ?? null;
  const low = bucket ? bounds[bucket - 1] : 0;
  return low + (bounds[bucket] - low) * (counts[bucket] ? left / counts[bucket] : 0);
}

/** Attempts per second that ended at an instance lately. */
export function traffic(points, instance, span = 5) {
  const last = recent(points, span);
  const at = (point) => point.instances.find((each) => each.instance === instance)?.calls ?? 0;
  return last.reduce((all, point) => all + at(point), 0) / span;
}
