// A modal dialog: the browser's own, which keeps the focus inside and gives it back.

import { html, useLayoutEffect, useRef } from "../vendor/htm-preact.js";
import { Icon } from "./icon.js";

export function Dialog({ title, kind = "", onClose, children }) {
  const box = useRef();
  useLayoutEffect(() => {
    const shown = box.current;
    shown.showModal();
    // Closed before it is removed: only so does the browser give the focus back.
    return () => shown.close();
  }, []);
  const backdrop = (event) => event.target === box.current && box.current.close();
  return html`
    <dialog class="dialog ${kind}" ref=${box} aria-labelledby="dialog-title" onClose=${onClose} onClick=${backdrop}>
      <div class="dialog-box">
        <div class="dialog-head">
          <h2 id="dialog-title">${title}</h2>
          <button type="button" class="bare" aria-label="Close" onClick=${() => box.current.close()}><${Icon} name="close" /></button>
        </div>
        ${children}
      </div>
    </dialog>`;
}
