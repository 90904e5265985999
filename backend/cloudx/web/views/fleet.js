// The fleet: every node as a card, or as a tile where there are many; those in trouble first.

import { ask } from "../api.js";
import { announce, fill, h, inSlices, text } from "../dom.js";
import { count, plural } from "../format.js";
import { keepFresh } from "../live.js";
import { heading, input, select } from "../parts.js";
import { remember } from "./node_history.js";
import { nodeCard, nodeTile, openNode } from "./node_card.js";

const DENSE_FROM = 60; // nodes
const ORDER = ["critical", "offline", "degraded", "draining", "healthy"];

const filters = { words: "", status: "", role: "", capability: "", layout: "auto" };

export function show(main) {
  const view = { nodes: new Map(), items: new Map(), order: "", turn: 0, etag: null };
  view.summary = h("p", { class: "lead" }, "Asking the API…");
  view.list = h("ul", { class: "nodes", "aria-label": "Nodes" });
  view.none = h("p", { class: "empty", hidden: true });
  view.chips = h("div", { class: "row", role: "group", "aria-label": "Status" });
  view.again = () => draw(view);
  const head = heading("Fleet");
  head.firstChild.append(view.summary);
  main.append(head, controls(view), view.none, view.list);
  return keepFresh((signal) => load(view, signal), () => draw(view), { everyMilliseconds: 2000, types: ["node"] });
}

async function load(view, signal) {
  const { data, etag } = await ask("GET", "/api/nodes", { signal });
  if (etag !== null && etag === view.etag) return undefined;
  view.etag = etag;
  view.nodes = new Map(data.map((node) => [node.node_id, node]));
  remember(data);
  return view.nodes;
}

function controls(view) {
  const change = (name) => (event) => {
    filters[name] = event.target.value;
    draw(view);
  };
  const search = input({ type: "search", placeholder: "Name, address or version", "aria-label": "Search nodes",
    value: filters.words, oninput: change("words") });
  const role = select([["", "Every role"], ["primary", "Primary"], ["worker", "Workers"]],
    { "aria-label": "Role", value: filters.role, onchange: change("role") });
  const capability = select([["", "Every capability"], ["nmap", "nmap"], ["masscan", "masscan"], ["zmap", "zmap"],
    ["raw_socket", "raw socket"]], { "aria-label": "Capability", value: filters.capability, onchange: change("capability") });
  const layout = select([["auto", "Layout: by number"], ["cards", "Cards"], ["tiles", "Tiles"]],
    { "aria-label": "Layout", value: filters.layout, onchange: change("layout") });
  return h("div", { class: "filters", role: "search" }, search, role, capability, layout, view.chips);
}

function matches(node) {
  const words = filters.words.trim().toLowerCase();
  return (!filters.status || node.status === filters.status) && (!filters.role || node.role === filters.role)
    && (!filters.capability || node.capabilities.includes(filters.capability))
    && (!words || `${node.node_id} ${node.hostname} ${node.ip} ${node.version}`.toLowerCase().includes(words));
}

const rank = (node) => ORDER.indexOf(node.status);

async function draw(view) {
  const mine = (view.turn += 1);
  const isOver = () => mine !== view.turn || !view.list.isConnected;
  const all = [...view.nodes.values()];
  const chosen = all.filter(matches).sort((a, b) => rank(a) - rank(b) || a.hostname.localeCompare(b.hostname, "en", { numeric: true }));
  drawSummary(view, all);
  drawChips(view, all);
  view.none.hidden = chosen.length > 0;
  text(view.none, all.length ? "No node matches these filters." : "No node has registered. Start one with cloudx worker, or use cloudx up.");
  const isDense = filters.layout === "tiles" || (filters.layout === "auto" && chosen.length > DENSE_FROM);
  await place(view, chosen, isDense, isOver);
}

/** Put the items in their order; what is there already is only brought up to date. */
async function place(view, chosen, isDense, isOver) {
  if (view.isDense !== isDense) {
    view.items.clear();
    view.list.replaceChildren();
    view.order = "";
    view.isDense = isDense;
    view.list.classList.toggle("is-dense", isDense);
  }
  const make = isDense ? nodeTile : nodeCard;
  const order = chosen.map((node) => node.node_id).join("\n");
  const isSameOrder = order === view.order;
  if (!isSameOrder) {
    view.order = "";
    const wanted = new Set(chosen.map((node) => node.node_id));
    for (const [id, item] of view.items) if (!wanted.has(id)) { item.remove(); view.items.delete(id); }
  }
  let before = null; // the item that the next one follows
  const done = await inSlices(chosen, (node) => {
    let item = view.items.get(node.node_id);
    if (!item) {
      item = make(node, () => openNode(node.node_id, () => view.nodes.get(node.node_id)));
      view.items.set(node.node_id, item);
    }
    if (item.shown !== node) item.bring(node);
    if (!isSameOrder) {
      const expected = before ? before.nextSibling : view.list.firstChild;
      if (expected !== item) view.list.insertBefore(item, expected);
    }
    before = item;
  }, isOver);
  if (done) view.order = order;
}

function drawSummary(view, nodes) {
  const bad = nodes.filter((node) => node.status === "critical" || node.status === "offline").length;
  const running = nodes.reduce((sum, node) => Math.max(sum, node.scans_running), 0);
  const stale = nodes.some((node) => node.stale && node.status !== "offline") ? " The view may be stale: a source does not answer." : "";
  const trouble = bad ? `, ${count(bad)} in trouble` : nodes.length ? ", none in trouble" : "";
  const words = `${plural(nodes.length, "node")}${trouble}${running ? `, up to ${plural(running, "scan")} each` : ""}.${stale}`;
  if (view.summary.textContent !== words && bad !== view.bad) announce(words);
  view.bad = bad;
  text(view.summary, words);
}

function drawChips(view, nodes) {
  const numbers = Object.fromEntries(ORDER.map((status) => [status, 0]));
  for (const node of nodes) numbers[node.status] = (numbers[node.status] ?? 0) + 1;
  const key = JSON.stringify([numbers, filters.status]);
  if (view.chipsKey === key) return;
  view.chipsKey = key;
  const focused = document.activeElement?.dataset?.status;
  fill(view.chips, ["", ...ORDER].filter((status) => !status || numbers[status] || status === filters.status).map((status) =>
    h("button", { type: "button", class: "chip", "data-status": status || "all", "aria-pressed": String(filters.status === status), onclick: () => {
      filters.status = status;
      draw(view);
    } }, status || "all", " ", h("span", {}, count(status ? numbers[status] : nodes.length)))));
  if (focused) view.chips.querySelector(`[data-status="${focused}"]`)?.focus();
}
