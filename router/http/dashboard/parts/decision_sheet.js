// One decision in full: what was read, who was considered, where it was tried.

import { html } from "../vendor/htm-preact.js";
import { clock, NONE, percent, seconds, usd, words } from "../lib/format.js";
import { Badge } from "./badge.js";
import { Bar } from "./bar.js";
import { outcome, rpc } from "./decision_row.js";
import { Dialog } from "./dialog.js";

export function DecisionSheet({ request, decision, onClose }) {
  const title = decision.line ? `${rpc(decision.line)} at ${clock(decision.line.timestamp)}` : "Decision";
  return html`
    <${Dialog} title=${title} kind="sheet" onClose=${onClose}>
      ${decision.line ? html`<${Whole} line=${decision.line} />` : html`
        <p>The router does not have <code>${request}</code> any more${decision.message ? `: ${decision.message}` : "."}</p>
        <p class="quiet">It keeps the latest; older ones are in its decision log: <code>waypost logs --request ${request}</code>.</p>`}
    </${Dialog}>`;
}

const Whole = ({ line }) => html`
  <p><${Badge} state=${line.code} says=${outcome(line.code)} /> ${line.error && html`<span>${line.error}</span>`}</p>
  <dl class="facts wide">${facts(line).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
  ${line.features && html`<${Features} of=${line.features} />`}
  <${Hops} of=${line.hops} />
  <${Candidates} of=${line.candidates} chosen=${line.chosen} />
  <${Attempts} of=${line.attempts} />
  <h3>Line of the log</h3>
  <pre class="json" tabindex="0" aria-label="Line of the log">${JSON.stringify(line, null, 2)}</pre>`;

const facts = (line) =>
  [
    ["request", html`<code>${line.request_id}</code>`],
    ["took", seconds(line.latency_ms / 1000)],
    ["model", line.model ?? NONE],
    ["why this model", line.model_reason ? words(line.model_reason) : NONE],
    ["instance", line.chosen ?? NONE],
    ["why this instance", line.reason ? words(line.reason) : NONE],
    ["policy", words(line.policy)],
    ["route", line.route],
    ["tenant", line.tenant],
    ["cache", line.cache],
    ["cost", line.cost_usd ? usd(line.cost_usd) : null],
    ["trace", line.trace && html`<code>${line.trace.split("-")[1] ?? line.trace}</code>`],
  ].filter(([, value]) => value != null);

const Features = ({ of }) => html`
  <h3>What was read in the prompt</h3>
  <dl class="facts wide">
    <div><dt>tier</dt><dd>${of.tier} <span class="quiet">by ${words(of.tier_reason)}</span></dd></div>
    <div><dt>complexity</dt><dd>${percent(of.complexity, 0)} <span class="quiet">above ${percent(of.quantile, 0)} of prompts</span></dd></div>
    <div><dt>confidence</dt><dd>${percent(of.confidence, 0)}</dd></div>
    <div><dt>known words</dt><dd>${percent(of.coverage, 0)}</dd></div>
    ${of.tags?.length > 0 && html`<div><dt>calls for</dt><dd>${of.tags.join(", ")}</dd></div>`}
    ${of.guard && html`<div><dt>guard</dt><dd>${of.guard}, ${percent(of.guard_score, 0)}</dd></div>`}
  </dl>`;

const Hops = ({ of }) => of.length > 0 && html`
  <h3>Models asked, in order</h3>
  <ol class="hops">${of.map((hop) => html`
    <li><b>${hop.model}</b> <span class="quiet">${words(hop.reason)}${hop.quality == null ? "" : `, quality ${hop.quality.toFixed(2)}`}${hop.faults?.length ? `, faults: ${hop.faults.join(", ")}` : ""}</span></li>`)}</ol>`;

const TERMS = ["latency", "queue", "fit", "health", "feedback"];

const Candidates = ({ of, chosen }) => of.length > 0 && html`
  <h3>Replicas considered</h3>
  <div class="scroll" tabindex="0" role="group" aria-label="Replicas considered"><table class="candidates">
    <thead><tr><th scope="col">Instance</th><th scope="col" class="number">Score</th>${TERMS.map((term) => html`<th scope="col">${term}</th>`)}<th scope="col" class="number">In flight</th><th scope="col" class="number">Chance</th></tr></thead>
    <tbody>${of.map((each) => html`
      <tr class=${each.instance === chosen ? "chosen" : ""}>
        <th scope="row">${each.instance} ${each.instance === chosen && html`<span class="tag">chosen</span>`}${!each.admitted && html`<span class="tag">left out</span>`}</th>
        <td class="number">${each.score.toFixed(2)}</td>
        ${TERMS.map((term) => html`<td><${Bar} share=${each.terms[term]} /><span class="small">${each.terms[term].toFixed(2)}</span></td>`)}
        <td class="number">${each.in_flight}</td><td class="number">${percent(each.propensity, 0)}</td>
      </tr>`)}</tbody>
  </table></div>`;

const Attempts = ({ of }) => of.length > 0 && html`
  <h3>Attempts</h3>
  <ol class="hops">${of.map((each) => html`
    <li><b>${each.instance}</b> <${Badge} state=${each.code} says=${outcome(each.code)} /> <span class="quiet">${seconds(each.latency_ms / 1000)}</span></li>`)}</ol>`;
