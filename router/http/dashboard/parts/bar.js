// A share of a whole, with an optional mark of where it should be.

import { html } from "../vendor/htm-preact.js";

const part = (share) => `${Math.max(0, Math.min(1, share)) * 100}%`;

/** `more` is drawn after `share`, paler: what is held. */
export const Bar = ({ share, more = 0, mark, tone = "" }) => html`
  <span class="bar ${tone}" aria-hidden="true">
    <span class="bar-more" style=${{ width: part(share + more) }}></span>
    <span class="bar-fill" style=${{ width: part(share) }}></span>
    ${mark != null && html`<span class="bar-mark" style=${{ left: part(mark) }}></span>`}
  </span>`;
