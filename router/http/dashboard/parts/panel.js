// A titled part of a view.

import { html } from "../vendor/htm-preact.js";

export function Panel({ id, title, note, actions, wide, children }) {
  return html`
    <section class="panel ${wide ?? ""}" aria-labelledby=${id}>
      <div class="panel-head"><h2 id=${id}>${title}</h2>${note && html`<span class="quiet">${note}</span>`}${actions}</div>
      ${children}
    </section>`;
}

/** What is said where there is nothing to show. */
export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;
