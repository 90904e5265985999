// The last loads of each node, as far as this page has seen them.

const KEPT = 60;
const histories = new Map();
let lastUpdate = new Map();

/** Note the figures of a new list; a node that did not beat since adds none. */
export function remember(nodes) {
  const seen = new Map();
  for (const node of nodes) {
    seen.set(node.node_id, node.updated_at);
    if (node.cpu === null || lastUpdate.get(node.node_id) === node.updated_at) continue;
    const history = histories.get(node.node_id) ?? [];
    history.push(node.cpu);
    if (history.length > KEPT) history.shift();
    histories.set(node.node_id, history);
  }
  lastUpdate = seen;
  for (const id of histories.keys()) if (!seen.has(id)) histories.delete(id);
}

export const history = (id) => histories.get(id) ?? [];
