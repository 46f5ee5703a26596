// How much is written to the logs.

import { html, useState } from "../vendor/htm-preact.js";
import { logLevel, mayOperate } from "../lib/actions.js";
import { confirm } from "../lib/dialogs.js";
import { useStore } from "../lib/store.js";
import { Panel } from "./panel.js";

const LEVELS = ["debug", "info", "warning", "error"];

export function LogLevel() {
  const status = useStore((state) => state.status);
  const instances = useStore((state) => state.instances);
  const [level, setLevel] = useState("debug");
  const [instance, setInstance] = useState("");
  const apply = (event) => {
    event.preventDefault();
    confirm(logLevel(level, instance));
  };
  return html`
    <${Panel} id="log-level" title="Log level" note=${status && `the router's is ${status.log_level}`}>
      <form onSubmit=${apply}>
        <div class="fields">
          <div><label for="log-level-value">Level</label>
            <select id="log-level-value" value=${level} onChange=${(event) => setLevel(event.target.value)}>${LEVELS.map((each) => html`<option value=${each}>${each}</option>`)}</select></div>
          <div><label for="log-level-of">Of</label>
            <select id="log-level-of" value=${instance} onChange=${(event) => setInstance(event.target.value)}>
              <option value="">all of the mesh</option>
              ${[status?.instance, ...instances.map((each) => each.instance)].filter(Boolean).map((each) => html`<option value=${each}>${each}</option>`)}
            </select></div>
        </div>
        <div class="dialog-foot"><button type="submit" disabled=${!mayOperate(status)}>Change …</button></div>
      </form>
    </${Panel}>`;
}
