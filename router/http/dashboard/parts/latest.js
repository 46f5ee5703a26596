// The last few decisions.

import { html } from "../vendor/htm-preact.js";
import { useStore } from "../lib/store.js";
import { DecisionHead, DecisionRow } from "./decision_row.js";
import { Empty, Panel } from "./panel.js";

const SHOWN = 8;

export function Latest() {
  const decisions = useStore((state) => state.decisions);
  return html`
    <${Panel} id="latest" title="Latest decisions" wide="span-all" actions=${html`<a class="panel-link" href="#/decisions">All</a>`}>
      ${decisions.length
        ? html`<div class="scroll"><table class="decisions"><${DecisionHead} /><tbody>
            ${decisions.slice(0, SHOWN).map((each) => html`<${DecisionRow} key=${each.number} decision=${each} />`)}
          </tbody></table></div>`
        : html`<${Empty}>No call was routed yet. The <a href="#/playground">playground</a> sends one.</${Empty}>`}
    </${Panel}>`;
}
