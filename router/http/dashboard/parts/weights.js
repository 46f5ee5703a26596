// How much each term of the score counts.

import { html, useState } from "../vendor/htm-preact.js";
import { mayOperate, weigh } from "../lib/actions.js";
import { confirm } from "../lib/dialogs.js";
import { useStore } from "../lib/store.js";
import { Empty, Panel } from "./panel.js";

const MEANS = {
  latency: "answers soon",
  queue: "has little to do",
  fit: "has the tags that were asked for",
  health: "has not failed lately",
  feedback: "was judged well",
};

export function Weights() {
  const weights = useStore((state) => state.status?.weights);
  const may = useStore((state) => mayOperate(state.status));
  return html`
    <${Panel} id="weights" title="Weights of the score" note="0 leaves a term out">
      ${weights ? html`<${Form} key=${JSON.stringify(weights)} weights=${weights} may=${may} />` : html`<${Empty}>The router has not told them yet.</${Empty}>`}
    </${Panel}>`;
}

/** What is typed is kept until the router has other weights than before. */
function Form({ weights, may }) {
  const [typed, type] = useState(weights);
  const changed = Object.keys(weights).some((term) => typed[term] !== weights[term]);
  const set = (term) => (event) => type({ ...typed, [term]: event.target.valueAsNumber });
  const apply = (event) => {
    event.preventDefault();
    confirm(weigh(weights, typed));
  };
  return html`
    <form onSubmit=${apply}>
      <div class="fields">${Object.keys(MEANS).map((term) => html`
        <div key=${term}><label for=${`weight-${term}`}>${term} <span class="quiet">${MEANS[term]}</span></label>
          <input id=${`weight-${term}`} type="number" min="0" max="100" step="0.1" required value=${typed[term]} onInput=${set(term)} /></div>`)}
      </div>
      <div class="dialog-foot"><button type="submit" disabled=${!may || !changed}>Change …</button></div>
    </form>`;
}
