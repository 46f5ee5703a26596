// Vectors, and how alike they are.

import { html } from "../vendor/htm-preact.js";
import { count, plural } from "../lib/format.js";
import { cosine, lines, whole } from "../lib/playing.js";
import { Chart } from "../charts/chart.js";
import { alike } from "../charts/alike.js";
import { chosen, ModelField, TextField } from "./fields.js";
import { Served } from "./served.js";
import { useCall } from "./use_call.js";

const EXAMPLE = "a man plays the guitar\nsomebody makes music\nthe report is due on Friday";

export function PlayEmbed() {
  const [result, error, busy, run] = useCall();
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const input = lines(form.get("texts"));
    run(async (signal) => ({ input, ...(await whole("/v1/embeddings", { ...chosen(form), input }, signal)) }));
  };
  return html`
    <form class="play-form" onSubmit=${submit}>
      <div class="fields"><${ModelField} id="embed-model" task="embed" /></div>
      <${TextField} id="embed-texts" name="texts" label="Texts, one a line" rows="6" text=${EXAMPLE} />
      <div class="play-acts"><button type="submit" class="primary" disabled=${busy}>Embed</button></div>
    </form>
    <div class="play-result">
      ${error && html`<p class="error" role="alert">${error.message}</p>`}
      ${result ? html`<${Vectors} of=${result} />` : !error && html`<p class="empty">The vectors are compared: 1 means the same.</p>`}
    </div>`;
}

function Vectors({ of }) {
  const vectors = of.told.data.map((each) => each.embedding);
  const rows = vectors.map((one) => vectors.map((two) => cosine(one, two)));
  return html`
    <p><b>${plural(vectors.length, "vector")}</b> of ${count(vectors[0].length)} dimensions</p>
    <${Chart} label=${said(of.input, rows)} version=${of} height=${80 + 44 * rows.length} option=${(colors) => alike(colors, of.input, rows)} />
    <${Served} by=${of.served} took=${of.took} more=${[["tokens", of.told.usage.total_tokens && count(of.told.usage.total_tokens)]]} />`;
}

const said = (texts, rows) =>
  `How alike the texts are. ${rows.flatMap((row, i) => row.slice(0, i).map((value, j) => `“${texts[i]}” and “${texts[j]}”: ${value.toFixed(2)}`)).join("; ")}`;
