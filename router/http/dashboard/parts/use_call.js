// A call of a form: what came of it, why it failed, and that only one is under way.

import { useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { open } from "../lib/dialogs.js";

/** `[result, error, busy, run, stop]`; `run(call)` calls with a signal, and ends the call before. */
export function useCall() {
  const [state, set] = useState({ result: null, error: null, busy: false });
  const abort = useRef(null);
  const stop = () => abort.current?.abort();
  useEffect(() => stop, []);
  const run = async (call) => {
    stop();
    const mine = (abort.current = new AbortController());
    set({ result: null, error: null, busy: true });
    try {
      const result = await call(mine.signal);
      set({ result, error: null, busy: false });
    } catch (error) {
      const stopped = error.name === "AbortError";
      if (abort.current === mine) set({ result: null, error: stopped ? null : error, busy: false });
      if (error.wantsToken) open("token");
    }
  };
  return [state.result, state.error, state.busy, run, stop];
}
