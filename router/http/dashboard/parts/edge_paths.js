// The ways that the edges of the map take: from side to side where the nodes stand beside each other, along the left
// margin where the page is narrow, and between the rows to cards that others hide.

const BEND = 8;

/** Size of the map and the path of each edge: "" from the callers to the router, else to the instance of that name. */
export function measured(box) {
  const outer = box.getBoundingClientRect();
  const boxes = Object.fromEntries(
    [...box.querySelectorAll("[data-node]")].map((node) => [node.dataset.node, within(node, outer)]),
  );
  const { callers, router, ...instances } = boxes;
  const first = Math.min(...Object.values(instances).map((each) => each.left));
  const paths = { "": `M${callers.left + 24} ${callers.bottom}V${router.top}` };
  for (const [name, card] of Object.entries(instances)) paths[name] = way(router, card, first);
  return { width: outer.width, height: outer.height, paths };
}

function within(node, outer) {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return { left: left - outer.left, right: right - outer.left, top: top - outer.top, bottom: bottom - outer.top };
}

function way(router, card, first) {
  if (card.top >= router.bottom && card.left < router.right) return alongMargin(router, card);
  if (card.left > first + 1) return betweenRows(router, card, first);
  return acrossTo(router, card.left, (card.top + card.bottom) / 2);
}

function acrossTo(router, x, y) {
  const from = (router.top + router.bottom) / 2;
  const half = (router.right + x) / 2;
  return `M${router.right} ${from}C${half} ${from} ${half} ${y} ${x} ${y}`;
}

function betweenRows(router, card, first) {
  const gap = card.top - 2 * BEND;
  const down = card.left + 3 * BEND;
  return `${acrossTo(router, first - BEND, gap)}H${down - BEND}q${BEND} 0 ${BEND} ${BEND}V${card.top}`;
}

function alongMargin(router, card) {
  const margin = card.left / 2;
  const y = (card.top + card.bottom) / 2;
  const out = (router.top + router.bottom) / 2;
  return `M${router.left} ${out}H${margin + BEND}Q${margin} ${out} ${margin} ${out + BEND}V${y - BEND}Q${margin} ${y} ${margin + BEND} ${y}H${card.left}`;
}
