// Icons as line drawings of 16 by 16; they say nothing that a word beside them does not.

import { html } from "../vendor/htm-preact.js";

const PATHS = {
  alert: "M8 2l6.5 11.5h-13zM8 6.5v3M8 11.6v.1",
  check: "M3 8.5l3.2 3.2L13 4.8",
  circle: "M8 2.5a5.5 5.5 0 1 0 .01 0z",
  clock: "M8 2.5a5.5 5.5 0 1 0 .01 0zM8 5v3.2l2 1.3",
  close: "M4 4l8 8M12 4l-8 8",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  drain: "M8 2.5v7M5 7l3 3 3-3M3 13.2h10",
  eject: "M8 3l5 6H3zM3 12.5h10",
  key: "M10.2 2.8a3 3 0 1 1-2.2 5L3 12.8V14h2v-1.5h1.5V11L8 9.5",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  pin: "M6 2.5h4l-.5 4 2 2.5h-7l2-2.5zM8 9v4.5",
  play: "M5 3.2v9.6l7.5-4.8z",
  sun: "M8 5.2a2.8 2.8 0 1 0 .01 0zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  system: "M2.5 3.5h11v7h-11zM6 13h4M8 10.5V13",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
