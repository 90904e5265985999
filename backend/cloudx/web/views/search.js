// Search over all scans: what is open now, since when, and where it was seen last.

import { get, withQuery } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { count } from "../format.js";
import { attempt, badge, button, field, heading, input, link, table, time } from "../parts.js";
import { toldOf } from "./results.js";

const PAGE = 200;
const NAMES = ["ip", "cidr", "port", "service", "product", "hostname"];
const LATEST_ALONE = new Set(["first_seen", "last_seen"]);

export function show(main, { query }) {
  const box = (words, props, hint) => field(words, input(props), hint ? { hint } : {});
  const fields = {
    ip: box("Address", { class: "mono", inputmode: "text" }), cidr: box("Network", { class: "mono", placeholder: "192.0.2.0/24" }),
    port: box("Ports", { class: "mono", placeholder: "80,443" }), service: box("Service", {}), product: box("Product", {}), hostname: box("Host name", {}),
    since: box("Seen since", { type: "datetime-local" }),
  };
  for (const name of NAMES) if (query.get(name)) fields[name].input.value = query.get(name);
  const all = h("input", { type: "checkbox", id: "history", checked: query.get("latest") === "false" });
  const view = { fields, all, items: [], next: null, said: h("div", {}), out: h("div", {}) };
  const form = h("form", { class: "card", novalidate: true, role: "search", "aria-label": "All findings", onsubmit: (event) => {
    event.preventDefault();
    load(view);
  } }, h("div", { class: "field-grid is-tight" }, Object.values(fields)),
  h("p", { class: "check" }, all, h("label", { for: "history" }, "Every sighting, not only the latest of each port")),
  view.said, h("div", { class: "actions" }, h("button", { type: "submit", class: "button primary" }, "Search")));
  main.append(heading("Search", { lead: "Over all scans. A port that a later scan found closed is gone from the latest." }), form, view.out);
  load(view);
}

function asked({ fields, all }) {
  const made = { latest: all.checked ? "false" : "true" };
  for (const name of NAMES) made[name] = fields[name].input.value.trim();
  if (fields.since.input.value) made.since = new Date(fields.since.input.value).toISOString();
  return made;
}

const load = (view, cursor = null) => attempt(view.said, async () => {
  const parameters = asked(view);
  history.replaceState(null, "", withQuery("#/search", { ...parameters, latest: parameters.latest === "false" ? "false" : "" }));
  const page = await get(withQuery("/api/findings", { ...parameters, limit: PAGE, cursor }));
  view.items = cursor ? [...view.items, ...page.items] : page.items;
  view.next = page.next_cursor;
  draw(view, parameters);
});

function draw(view, parameters) {
  const words = `${count(view.items.length)}${view.next ? " or more" : ""} found`;
  announce(words);
  fill(view.out, h("div", { class: "row spread after-form" }, h("h2", {}, words),
    h("div", { class: "row downloads" }, ["ndjson", "csv"].map((format) => link(format.toUpperCase(), withQuery("/api/findings", { ...parameters, format }), { download: `findings.${format}`, kind: "button small" })))),
  table("Findings", ["Address", "Port", "State", "Service", "Told of itself", "First seen", "Last seen", "Scan"], view.items.map(row), { empty: "Nothing that was found matches." }),
  view.next ? h("div", { class: "actions pager" }, button("Show more", () => load(view, view.next))) : null);
}

function row(item) {
  const told = Object.fromEntries(Object.entries(item).filter(([name]) => !LATEST_ALONE.has(name)));
  return [[h("span", { class: "mono" }, item.ip), item.hostname ? h("p", { class: "hint" }, item.hostname) : null], h("span", { class: "nowrap" }, `${item.port}/${item.protocol}`),
    badge(item.state === "open" || item.state === "up" ? "healthy" : "degraded", item.state), item.service ?? "", toldOf(told),
    item.first_seen ? time(item.first_seen) : "", time(item.last_seen ?? item.observed_at), link("open", `#/scans/${encodeURIComponent(item.scan_id)}`, { "aria-label": `Scan of ${item.ip}` })];
}
