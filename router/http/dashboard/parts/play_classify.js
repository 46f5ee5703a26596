// Labels of texts.

import { html } from "../vendor/htm-preact.js";
import { percent } from "../lib/format.js";
import { lines, whole } from "../lib/playing.js";
import { useStore } from "../lib/store.js";
import { Bar } from "./bar.js";
import { chosen, ModelField, TextField } from "./fields.js";
import { Served } from "./served.js";
import { useCall } from "./use_call.js";

const EXAMPLE = "What a wonderful day!\nThe parcel came late and broken.";
const LABELS = 5;

export function PlayClassify() {
  const models = useStore((state) => state.models);
  const heads = [...new Set(models.flatMap((each) => each.heads.map((head) => head.name)))];
  const [result, error, busy, run] = useCall();
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const input = lines(form.get("texts"));
    const head = form.get("head") ? { head: form.get("head") } : {};
    run(async (signal) => ({ input, ...(await whole("/v1/classify", { ...chosen(form), ...head, input, top_k: LABELS }, signal)) }));
  };
  return html`
    <form class="play-form" onSubmit=${submit}>
      <div class="fields"><${ModelField} id="classify-model" task="classify" />
        <div><label for="classify-head">Labels</label><select id="classify-head" name="head">${heads.map((each) => html`<option value=${each}>${each}</option>`)}</select></div>
      </div>
      <${TextField} id="classify-texts" name="texts" label="Texts, one a line" rows="6" text=${EXAMPLE} />
      <div class="play-acts"><button type="submit" class="primary" disabled=${busy}>Classify</button></div>
    </form>
    <div class="play-result">
      ${error && html`<p class="error" role="alert">${error.message}</p>`}
      ${result ? html`<${Labels} of=${result} />` : !error && html`<p class="empty">Each text gets its labels here, the likeliest first.</p>`}
    </div>`;
}

const Labels = ({ of }) => html`
  ${of.told.data.map((each) => html`
    <section class="labelled"><h3>${of.input[each.index]} ${each.out_of_scope && html`<span class="tag">unlike the training data</span>`}</h3>
      <ul class="bars">${each.labels.map((label) => html`<li><span>${label.label}</span><${Bar} share=${label.score} /><span class="number">${percent(label.score)}</span></li>`)}</ul>
    </section>`)}
  <${Served} by=${of.served} took=${of.took} more=${[["head", of.told.head]]} />`;
