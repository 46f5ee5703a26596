// The shares of the tiers, beside what they are meant to be.

import { html } from "../vendor/htm-preact.js";
import { percent } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { Bar } from "./bar.js";
import { Empty, Panel } from "./panel.js";

export function Tiers() {
  const all = useStore((state) => state.status?.tiers) ?? [];
  const tiers = all.filter((each) => each.target > 0 || each.achieved > 0);
  const seen = tiers.some((each) => each.achieved > 0);
  return html`
    <${Panel} id="tiers" title="Tiers" note="share of prompts; the mark is the target">
      ${tiers.length && seen
        ? html`<ul class="bars">${tiers.map((each) => html`<${Tier} key=${each.tier} tier=${each} />`)}</ul>`
        : html`<${Empty}>${tiers.length
            ? "No prompt has been given a tier yet: chats that name no model are."
            : html`No targets are set: <code>[router.tiers.shares]</code> in the configuration.`}</${Empty}>`}
    </${Panel}>`;
}

const Tier = ({ tier }) => html`
  <li><span>${tier.tier}</span><${Bar} share=${tier.achieved} mark=${tier.target} />
    <span class="number"><b>${percent(tier.achieved, 0)}</b> <span class="quiet">of ${percent(tier.target, 0)}</span></span></li>`;
