// Documents in the order in which they answer a query.

import { html } from "../vendor/htm-preact.js";
import { lines, whole } from "../lib/playing.js";
import { chosen, ModelField, TextField } from "./fields.js";
import { Served } from "./served.js";
import { useCall } from "./use_call.js";

const QUERY = "When is the report due?";
const EXAMPLE = "The cafeteria opens at eight.\nThe report is due on Friday.\nPlease send the report to Anna.";

export function PlayRerank() {
  const [result, error, busy, run] = useCall();
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const documents = lines(form.get("documents"));
    const body = { ...chosen(form), query: form.get("query"), documents };
    run(async (signal) => ({ documents, ...(await whole("/v1/rerank", body, signal)) }));
  };
  return html`
    <form class="play-form" onSubmit=${submit}>
      <div class="fields"><${ModelField} id="rerank-model" task="rerank" /></div>
      <label for="rerank-query">Query</label><input id="rerank-query" name="query" required value=${QUERY} />
      <${TextField} id="rerank-documents" name="documents" label="Documents, one a line" rows="6" text=${EXAMPLE} />
      <div class="play-acts"><button type="submit" class="primary" disabled=${busy}>Rerank</button></div>
    </form>
    <div class="play-result">
      ${error && html`<p class="error" role="alert">${error.message}</p>`}
      ${result ? html`<${Ranked} of=${result} />` : !error && html`<p class="empty">The documents come here, the best first.</p>`}
    </div>`;
}

const Ranked = ({ of }) => html`
  <ol class="ranked">${of.told.results.map((each) => html`
    <li><span>${of.documents[each.index]}</span><span class="number">${each.relevance_score.toFixed(3)}</span><span class="quiet">was ${each.index + 1}</span></li>`)}</ol>
  <${Served} by=${of.served} took=${of.took} more=${[["method", of.told.meta.method]]} />`;
