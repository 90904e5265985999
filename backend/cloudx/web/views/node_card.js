// A node: as a card with its load, as a tile of a large fleet, and alone in a dialog.

import { ApiError, part, remove } from "../api.js";
import { fill, h, set, text } from "../dom.js";
import { ago, count, cut, moment, percent, plural } from "../format.js";
import { badge, button, confirmed, newId, notice } from "../parts.js";
import { sparkline } from "../plot.js";
import { may } from "../session.js";
import { history } from "./node_history.js";

export const troubles = (node) => node.checks.filter((check) => check.status !== "passing");
const loadWords = (node) => (node.cpu === null ? "load not told" : `CPU ${percent(node.cpu)}, memory ${percent(node.mem)}`);
const troubleWords = (check) => `${check.name}: ${check.output || "fails and tells no reason"}`;

/** A card; `.bring(node)` brings it up to date. */
export function nodeCard(first, open) {
  const status = h("span", {});
  const name = h("button", { type: "button", class: "node-name", onclick: open });
  const where = h("p", { class: "node-where" });
  const spark = sparkline();
  const cpu = h("span", { class: "figure" });
  const mem = h("span", { class: "figure" });
  const caps = h("ul", { class: "caps", "aria-label": "Capabilities" });
  const trouble = h("div", { class: "node-trouble" });
  const seen = h("span", {});
  const item = h("li", { class: "node" },
    h("div", { class: "node-top" }, name, status), where,
    h("div", { class: "node-load" }, spark, h("p", {}, cpu, mem)),
    trouble, caps, h("p", { class: "node-foot" }, seen));
  item.bring = (node) => {
    if (item.shown?.status !== node.status) fill(status, badge(node.status));
    set(item, { "data-status": node.status });
    text(name, node.hostname || node.node_id);
    text(where, [node.node_id === node.hostname ? "" : cut(node.node_id, 24), node.ip, node.role, node.version && `version ${node.version}`].filter(Boolean).join(" · "));
    spark.draw(history(node.node_id), `${loadWords(node)}; the line is the CPU's last minutes`);
    text(cpu, `CPU ${percent(node.cpu)}`);
    text(mem, `memory ${percent(node.mem)}`);
    drawTrouble(trouble, node, item.shown);
    if (String(item.shown?.capabilities) !== String(node.capabilities)) {
      fill(caps, node.capabilities.map((word) => h("li", {}, word.replaceAll("_", " "))));
    }
    text(seen, footWords(node));
    item.shown = node;
  };
  return item;
}

function footWords(node) {
  const seen = node.last_seen ? `Last seen ${ago(node.last_seen)}` : "Never beat; known by " + node.sources.join(", ");
  return `${seen}${node.scans_running ? ` · ${plural(node.scans_running, "scan")} running` : ""}${node.stale ? " · stale" : ""}`;
}

function drawTrouble(place, node, before) {
  const words = troubles(node).map(troubleWords);
  if (before && String(troubles(before).map(troubleWords)) === String(words)) return;
  fill(place, troubles(node).slice(0, 2).map((check) => h("p", { title: troubleWords(check), class: check.status === "critical" ? "is-worst" : null }, h("span", {}, troubleWords(check)))),
    words.length > 2 ? h("p", {}, `and ${count(words.length - 2)} more`) : null);
}

/** A tile of a large fleet: status, name and load in one line, and the first trouble. */
export function nodeTile(first, open) {
  const glyph = h("span", { class: "tile-status" });
  const name = h("span", { class: "tile-name" });
  const bar = h("span", { class: "tile-load", "aria-hidden": "true" });
  const words = h("span", { class: "tile-words" });
  const item = h("li", {}, h("button", { type: "button", class: "tile", onclick: open }, glyph, name, words, bar));
  const tile = item.firstChild;
  item.bring = (node) => {
    if (item.shown?.status !== node.status) {
      fill(glyph, badge(node.status));
      set(tile, { "data-status": node.status });
    }
    text(name, node.hostname || node.node_id);
    const trouble = troubles(node)[0];
    text(words, trouble && node.status !== "healthy" ? troubleWords(trouble) : `CPU ${percent(node.cpu)}`);
    set(bar, { style: { "--load": String((node.cpu ?? 0) / 100) } });
    item.shown = node;
  };
  return item;
}

/** Everything about one node, and what can be done with it. */
export function openNode(id, current) {
  const node = current();
  if (!node) return;
  const title = newId("node");
  const said = h("div", {});
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": title, onclose: () => dialog.remove() },
    h("h2", { id: title }, node.hostname || node.node_id), h("p", {}, badge(node.status)),
    facts(node), checks(node), said,
    h("div", { class: "actions" }, may("admin") && node.status === "offline" ? button("Forget this node", () => forget(node, dialog, said), { kind: "danger" }) : null,
      button("Close", () => dialog.close(), { autofocus: true })));
  document.body.append(dialog);
  dialog.showModal();
}

function facts(node) {
  const rows = [["Node id", node.node_id], ["Address", node.ip], ["Role", node.role], ["Version", node.version || "–"],
    ["Last seen", node.last_seen ? `${ago(node.last_seen)} (${moment(node.last_seen)})` : "never"],
    ["Load", `${loadWords(node)}${node.loadavg.length ? `, load average ${node.loadavg.map((one) => one.toFixed(2)).join(" ")}` : ""}`],
    ["Sends at most", node.rate_limit_pps ? `${count(node.rate_limit_pps)} packets/s` : "not measured"],
    ["Capabilities", node.capabilities.join(", ") || "none"], ["Known by", node.sources.join(", ")],
    ["Scans running", count(node.scans_running)]];
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function checks(node) {
  if (!node.checks.length) return h("p", { class: "hint" }, "It has told no checks.");
  return h("ul", { class: "checks" }, node.checks.map((check) => h("li", {},
    badge({ passing: "healthy", warning: "degraded" }[check.status] ?? check.status, check.name), " ", check.output)));
}

async function forget(node, dialog, said) {
  if (!(await confirmed(`Forget ${node.hostname}? Its tokens stay good until they are revoked.`, "Forget it"))) return;
  try {
    await remove(`/api/nodes/${part(node.node_id)}`);
    dialog.close();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(said, notice(error.message));
  }
}
