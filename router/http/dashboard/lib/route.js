// Which view is shown: the fragment of the address, `#/decisions/REQUEST`, so that back and links work.

import { useEffect, useState } from "../vendor/htm-preact.js";

export const VIEWS = [
  { name: "overview", title: "Overview" },
  { name: "decisions", title: "Decisions" },
  { name: "playground", title: "Playground" },
  { name: "operate", title: "Operate" },
];

function parsed() {
  const [, view = "", rest = ""] = location.hash.split("/");
  const known = VIEWS.some((each) => each.name === view);
  return { view: known ? view : "overview", rest: decodeURIComponent(rest) };
}

export const go = (view, rest = "") => (location.hash = rest ? `#/${view}/${encodeURIComponent(rest)}` : `#/${view}`);

export function useRoute() {
  const [route, set] = useState(parsed);
  useEffect(() => {
    const moved = () => set(parsed());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return route;
}
