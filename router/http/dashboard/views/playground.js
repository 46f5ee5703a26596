// The four services, to be tried.

import { html, useRef, useState } from "../vendor/htm-preact.js";
import { PlayChat } from "../parts/play_chat.js";
import { PlayClassify } from "../parts/play_classify.js";
import { PlayEmbed } from "../parts/play_embed.js";
import { PlayRerank } from "../parts/play_rerank.js";

const SERVICES = [
  { name: "generate", title: "Generate", Play: PlayChat },
  { name: "embed", title: "Embed", Play: PlayEmbed },
  { name: "classify", title: "Classify", Play: PlayClassify },
  { name: "rerank", title: "Rerank", Play: PlayRerank },
];

export function Playground() {
  const [at, move] = useState(0);
  const tabs = useRef();
  const { name, Play } = SERVICES[at];
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (at + step + SERVICES.length) % SERVICES.length;
    move(next);
    tabs.current.children[next].focus();
  };
  return html`
    <h1 class="hidden">Playground</h1>
    <section class="panel play">
      <div class="tabs" role="tablist" aria-label="Services" ref=${tabs} onKeyDown=${keys}>
        ${SERVICES.map((each, index) => html`
          <button type="button" role="tab" id=${`tab-${each.name}`} aria-selected=${String(index === at)} aria-controls="play" tabindex=${index === at ? 0 : -1} onClick=${() => move(index)}>${each.title}</button>`)}
      </div>
      <div class="play-body" id="play" role="tabpanel" aria-labelledby=${`tab-${name}`}><${Play} key=${name} /></div>
    </section>`;
}
