// The mesh as it is now: callers, the router, its instances, and the traffic between them.

import { html, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { open } from "../lib/dialogs.js";
import { count, minutes, NONE, percent, rate, seconds } from "../lib/format.js";
import { recent, sum, traffic } from "../lib/stats.js";
import { useStore } from "../lib/store.js";
import { Badge, stateOf } from "./badge.js";
import { Edges } from "./edges.js";
import { measured } from "./edge_paths.js";
import { Empty } from "./panel.js";

export function MeshMap() {
  const instances = useStore((state) => state.instances);
  const points = useStore((state) => state.points);
  const box = useRef();
  const layout = useLayout(box, instances.map((each) => each.instance).join(" "));
  const rates = Object.fromEntries(instances.map((each) => [each.instance, traffic(points, each.instance)]));
  const all = sum(recent(points, 5)).calls / 5;
  return html`
    <div class="mesh" ref=${box}>
      <${Edges} layout=${layout} rates=${{ ...rates, "": all }} />
      <div class="mesh-in">
        <div class="node callers" data-node="callers"><h3>Callers</h3><p><b>${rate(all)}</b> <span class="quiet">calls/s</span></p></div>
        <${RouterNode} />
      </div>
      <ul class="mesh-out" aria-label="Instances">
        ${instances.map((each) => html`<${InstanceCard} key=${each.instance} instance=${each} calls=${rates[each.instance]} />`)}
        ${!instances.length && html`<li><${Empty}>No instance yet: <code>[[workers]]</code> in the configuration starts some, <code>waypost worker</code> adds one.</${Empty}></li>`}
      </ul>
    </div>`;
}

/** Where the nodes are; measured again when the page gets another size, or other nodes. */
function useLayout(box, names) {
  const [layout, set] = useState(null);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => set(measured(box.current)));
    observer.observe(box.current);
    for (const node of box.current.querySelectorAll("[data-node]")) observer.observe(node);
    return () => observer.disconnect();
  }, [names]);
  return layout;
}

function RouterNode() {
  const status = useStore((state) => state.status);
  return html`
    <div class="node router" data-node="router">
      <h3>${status?.instance ?? "router"}</h3>
      <dl class="facts">
        <div><dt>policy</dt><dd>${(status?.policy ?? NONE).replaceAll("_", " ")}</dd></div>
        <div><dt>in flight</dt><dd>${count(status?.in_flight ?? 0)}</dd></div>
        <div><dt>retries left</dt><dd>${status ? status.retry_budget.toFixed(0) : NONE}</dd></div>
        <div><dt>up</dt><dd>${status ? minutes((Date.now() - Date.parse(status.started)) / 1000) : NONE}</dd></div>
      </dl>
    </div>`;
}

const TAGS = 4;

function InstanceCard({ instance, calls }) {
  const state = stateOf(instance);
  const more = instance.tags.length - TAGS;
  return html`
    <li class="node instance ${state}" data-node=${instance.instance} data-instance=${instance.instance}>
      <div class="node-head">
        <h3><button type="button" class="cover" aria-haspopup="dialog" onClick=${() => open("instance", instance.instance)}>${instance.instance}</button></h3>
        <${Badge} state=${state} />
      </div>
      <p class="models">${instance.models.join(", ") || "no model"}</p>
      <dl class="figures">
        <div><dt>calls/s</dt><dd>${rate(calls)}</dd></div>
        <div><dt>p95</dt><dd>${instance.requests ? seconds(instance.latency_p95) : NONE}</dd></div>
        <div><dt>in flight</dt><dd>${count(instance.in_flight)}</dd></div>
        <div><dt>success</dt><dd>${percent(instance.success_rate)}</dd></div>
      </dl>
      <p class="tags">${instance.tags.slice(0, TAGS).map((tag) => html`<span class="tag">${tag}</span>`)}${more > 0 && html`<span class="quiet">+${more}</span>`}</p>
    </li>`;
}
