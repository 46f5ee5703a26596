// The page's one state: plain data, replaced as a whole, with components that watch the part they show.

import { useLayoutEffect, useState } from "../vendor/htm-preact.js";

const KEPT_DECISIONS = 500;
const KEPT_S = 15 * 60;

let state = {
  /** "connecting", "live", "router-away", "gateway-away", "denied" or "paused". */
  link: "connecting",
  /** What the link's trouble is, in words. */
  trouble: "",
  status: null,
  instances: [],
  models: [],
  budget: null,
  tenants: [],
  rollouts: [],
  bounds: [],
  points: [],
  /** Newest first. */
  decisions: [],
  /** Seconds that the charts show. */
  span: Number(localStorage.getItem("waypost.span")) || 300,
  /** Counts changes of light and dark: charts draw again. */
  theme: 0,
  /** What is to be confirmed, or the dialog that is open. */
  dialog: null,
  toasts: [],
  /** The search of the decisions is to get the focus. */
  seek: false,
};

const watchers = new Set();

export const now = () => state;

export function change(part) {
  state = { ...state, ...part };
  for (const watcher of [...watchers]) watcher();
}

/** The part of the state that `select` picks; the component is drawn again when it is another. */
export function useStore(select) {
  const [, draw] = useState(0);
  const picked = select(state);
  useLayoutEffect(() => {
    let last = picked;
    const watcher = () => {
      const next = select(state);
      if (Object.is(next, last)) return;
      last = next;
      draw((count) => count + 1);
    };
    watchers.add(watcher);
    watcher();
    return () => watchers.delete(watcher);
  }, [picked]);
  return picked;
}

/** Takes in an event of /api/live; `fresh`: it brings the whole history again. */
export function take(event, fresh) {
  const { status, instances, models, budget, tenants = [], rollouts, history, decisions } = event;
  const known = { status, instances, models, budget, tenants, rollouts };
  for (const name of Object.keys(known)) known[name] = same(state[name], known[name]);
  change({
    ...known,
    bounds: same(state.bounds, history.bounds),
    points: joined(fresh ? [] : state.points, history.points),
    decisions: decided(fresh ? [] : state.decisions, decisions),
    link: "live",
    trouble: "",
  });
}

/** The old value where the new one says the same: then nothing is drawn. */
function same(before, after) {
  return JSON.stringify(before) === JSON.stringify(after) ? before : after;
}

function joined(before, after) {
  const last = before.at(-1)?.at ?? 0;
  const timed = after.map((point) => ({ ...point, at: Date.parse(point.time) }));
  return [...before, ...timed.filter((point) => point.at > last)].slice(-KEPT_S);
}

function decided(before, after) {
  const last = before[0]?.number ?? 0;
  const newest = after.filter((each) => each.number > last).reverse();
  return newest.length ? [...newest, ...before].slice(0, KEPT_DECISIONS) : before;
}
