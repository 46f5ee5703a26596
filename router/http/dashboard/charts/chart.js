// A chart: ECharts on a canvas, loaded after the first paint, drawn again only when it is in sight and has news.

import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { colors } from "../lib/colors.js";
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, sleep } from "../lib/sleep.js";
import { useStore } from "../lib/store.js";

let library;

const loaded = () => (library ??= painted().then(fetched));

/** The gateway may be away for a moment: it is asked again, by another name, as browsers remember what failed. */
async function fetched() {
  for (let turn = 0; ; turn++) {
    try {
      return await import(turn ? `../vendor/echarts.js?${turn}` : "../vendor/echarts.js");
    } catch {
      await sleep(Math.min(FIRST_WAIT_MS * 2 ** turn, LONGEST_WAIT_MS));
    }
  }
}

/** Two frames: what is there now has been painted. */
const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

/**
 * `option(colors)` is what ECharts is told; it is asked when `version` is another.  `label` says what the chart shows
 * to those who do not see it.
 */
export function Chart({ label, option, version, height = 200 }) {
  const theme = useStore((state) => state.theme);
  const box = useRef();
  const drawing = useRef();
  useEffect(() => {
    drawing.current = new Drawing(box.current);
    return () => drawing.current.end();
  }, []);
  useEffect(() => drawing.current.show(option), [version, theme]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${box} style=${{ height: `${height}px` }}></div>`;
}

/** A chart's life: begun when the library is there, silent out of sight. */
class Drawing {
  constructor(box) {
    this.box = box;
    this.inSight = false;
    this.sight = new IntersectionObserver(([seen]) => this.seen(seen.isIntersecting));
    this.size = new ResizeObserver(() => this.chart?.resize());
    loaded().then((echarts) => this.begin(echarts));
  }

  begin(echarts) {
    if (this.over) return;
    this.chart = echarts.init(this.box, null, { renderer: "canvas" });
    this.sight.observe(this.box);
    this.size.observe(this.box);
  }

  show(option) {
    this.option = option;
    this.draw();
  }

  seen(inSight) {
    this.inSight = inSight;
    this.draw();
  }

  draw() {
    if (!this.chart || !this.inSight || !this.option) return;
    this.chart.setOption(this.option(colors()), { lazyUpdate: true });
    this.box.dataset.drawn = "";
    this.option = null;
  }

  end() {
    this.over = true;
    this.sight.disconnect();
    this.size.disconnect();
    this.chart?.dispose();
  }
}
