// The stream of /api/live: one event a second while all is well.
//
// It is opened again when it ends, fails or falls silent, later and later up to 8 s; a hidden tab has none.

import { Refused, send } from "./api.js";
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, sleep } from "./sleep.js";
import { events } from "./sse.js";
import { change, now, take } from "./store.js";

const SILENCE_MS = 8000;

let paused = false;
let abort = new AbortController();
let wake = () => {};

/** Never returns. */
export async function follow() {
  document.addEventListener("visibilitychange", () => again());
  let wait = FIRST_WAIT_MS;
  for (;;) {
    if (document.hidden || paused) await woken();
    const began = now().points;
    await once();
    wait = now().points === began ? Math.min(wait * 2, LONGEST_WAIT_MS) : FIRST_WAIT_MS;
    if (now().link === "denied") await woken();
    else await Promise.race([sleep(wait * (0.75 + Math.random() / 2)), woken()]);
  }
}

/** Opens the stream anew, at once. */
export function again() {
  abort.abort();
  wake();
}

export function pause(wanted) {
  paused = wanted;
  change({ link: wanted ? "paused" : "connecting" });
  again();
}

async function once() {
  abort = new AbortController();
  let silence = watch(abort);
  let fresh = true;
  try {
    const reply = await send("/api/live", { signal: abort.signal });
    for await (const data of events(reply)) {
      clearTimeout(silence);
      silence = watch(abort);
      fresh = heard(JSON.parse(data), fresh);
    }
    lost("The gateway closed the stream.");
  } catch (error) {
    failed(error);
  } finally {
    clearTimeout(silence);
    abort.abort();
  }
}

/** Whether the next event is again to be taken for the first. */
function heard(event, fresh) {
  if (event.error) {
    change({ link: "router-away", trouble: event.error.message ?? event.error });
    return fresh;
  }
  take(event, fresh || event.reset === true);
  return false;
}

function failed(error) {
  if (paused || document.hidden) return;
  if (error instanceof Refused && error.wantsToken) change({ link: "denied", trouble: error.message });
  else if (error instanceof Refused && error.status >= 500) change({ link: "router-away", trouble: error.message });
  else lost(error instanceof Refused ? error.message : "The gateway does not answer.");
}

function lost(trouble) {
  if (!paused && !document.hidden) change({ link: "gateway-away", trouble });
}

const watch = (controller) => setTimeout(() => controller.abort(), SILENCE_MS);
const woken = () => new Promise((resolve) => (wake = resolve));
