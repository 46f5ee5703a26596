// What the router decided, and why: a table that follows, and one decision in full.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { ask } from "../lib/api.js";
import { go } from "../lib/route.js";
import { change, useStore } from "../lib/store.js";
import { DecisionHead, DecisionRow, rpc } from "../parts/decision_row.js";
import { DecisionSheet } from "../parts/decision_sheet.js";
import { Empty, Panel } from "../parts/panel.js";

const SHOWN = 100;
const OUTCOMES = { all: () => true, failed: (line) => line.code !== "OK", retried: (line) => line.attempts.length > 1 };

export function Decisions({ rest }) {
  const live = useStore((state) => state.decisions);
  const [held, hold] = useState(null);
  const [search, setSearch] = useState("");
  const [outcome, setOutcome] = useState("all");
  const found = (held ?? live).filter((each) => OUTCOMES[outcome](each.line) && matches(each.line, search));
  const news = held ? live.filter((each) => each.number > (held[0]?.number ?? 0)).length : 0;
  const field = useSought();
  return html`
    <h1 class="hidden">Decisions</h1>
    <${Panel} id="decisions" title="Decisions" note=${held ? `held; ${news} more since` : "the latest first"}>
      <div class="filters">
        <label class="hidden" for="decision-search">Search</label>
        <input id="decision-search" ref=${field} type="search" placeholder="Request, model, instance, reason, error" value=${search} onInput=${(event) => setSearch(event.target.value)} />
        <label class="hidden" for="decision-outcome">Outcome</label>
        <select id="decision-outcome" value=${outcome} onChange=${(event) => setOutcome(event.target.value)}>
          ${Object.keys(OUTCOMES).map((each) => html`<option value=${each}>${each}</option>`)}
        </select>
        <button type="button" aria-pressed=${String(held !== null)} onClick=${() => hold(held ? null : live)}>${held ? "Follow" : "Hold"}</button>
      </div>
      ${found.length
        ? html`<div class="scroll"><table class="decisions"><${DecisionHead} /><tbody>
            ${found.slice(0, SHOWN).map((each) => html`<${DecisionRow} key=${each.number} decision=${each} />`)}
          </tbody></table></div>`
        : html`<${Empty}>${live.length ? "No decision is like that." : html`No call was routed yet. The <a href="#/playground">playground</a> sends one.`}</${Empty}>`}
    </${Panel}>
    ${rest && html`<${Opened} key=${rest} request=${rest} />`}`;
}

/** The field of the search, which gets the focus when somebody looks for it. */
function useSought() {
  const field = useRef();
  const seek = useStore((state) => state.seek);
  useEffect(() => {
    if (!seek) return;
    field.current.focus();
    change({ seek: false });
  }, [seek]);
  return field;
}

const SEARCHED = [rpc, (line) => line.request_id, (line) => line.model, (line) => line.chosen, (line) => line.model_reason, (line) => line.reason, (line) => line.code, (line) => line.error, (line) => line.tenant];

const matches = (line, search) => SEARCHED.some((of) => (of(line) ?? "").toLowerCase().includes(search.trim().toLowerCase()));

/** One decision: of those here, or asked for by its request. */
function Opened({ request }) {
  const known = useStore((state) => state.decisions.find((each) => each.line.request_id === request));
  const [asked, set] = useState(null);
  useEffect(() => {
    if (!known) ask(`/api/decisions?request_id=${encodeURIComponent(request)}`).then((told) => set(told.decisions.at(-1) ?? "gone"), set);
  }, []);
  const decision = known ?? asked;
  return decision && html`<${DecisionSheet} request=${request} decision=${decision} onClose=${() => go("decisions")} />`;
}
