// The scans, newest first, and how far each is.

import { ask, withQuery } from "../api.js";
import { fill, h, set, text } from "../dom.js";
import { count, cut, plural } from "../format.js";
import { keepFresh } from "../live.js";
import { badge, button, heading, link, select, time } from "../parts.js";
import { may } from "../session.js";

const PAGE = 50;
const filters = { status: "", tool: "" };

export function show(main) {
  const view = { rows: new Map(), cursors: [null], end: null };
  view.total = h("p", { class: "lead" }, "Asking the API…");
  view.body = h("tbody", {});
  view.box = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Scans" }, h("table", { class: "data scans" },
    h("caption", { class: "visually-hidden" }, "Scans, newest first"),
    h("thead", {}, h("tr", {}, ["Scan", "Tool", "Progress", "Addresses", "Submitted"].map((words) => h("th", { scope: "col" }, words)))), view.body));
  view.none = h("p", { class: "empty", hidden: true });
  view.older = button("Older", () => turn(view, () => view.cursors.push(view.next)), { hidden: true });
  view.newer = button("Newer", () => turn(view, () => view.cursors.pop()), { hidden: true });
  const head = heading("Scans", { actions: may("operator") ? [link("New scan", "#/scans/new", { kind: "button primary" })] : [] });
  head.firstChild.append(view.total);
  main.append(head, controls(view), view.none, view.box, h("div", { class: "actions pager" }, view.newer, view.older));
  view.end = keepFresh((signal) => load(view, signal), (page) => draw(view, page), { everyMilliseconds: 1500, types: ["scan", "chunk"] });
  return view.end;
}

function controls(view) {
  const change = (name) => (event) => turn(view, () => {
    filters[name] = event.target.value;
    view.cursors = [null];
  });
  const options = (first, words) => [["", first], ...words.map((word) => [word, word])];
  return h("div", { class: "filters" },
    select(options("Every status", ["submitted", "running", "completed", "failed", "stopped"]), { "aria-label": "Status", value: filters.status, onchange: change("status") }),
    select(options("Every tool", ["nmap", "masscan", "zmap"]), { "aria-label": "Tool", value: filters.tool, onchange: change("tool") }));
}

function turn(view, change) {
  change();
  view.end.now();
}

const load = (view, signal) => ask("GET", withQuery("/api/scans", { limit: PAGE, results: "false", cursor: view.cursors.at(-1), ...filters }), { signal });

function draw(view, { data, total, next }) {
  view.next = next && new URL(next, location.origin).searchParams.get("cursor");
  view.older.hidden = !view.next;
  view.newer.hidden = view.cursors.length < 2;
  text(view.total, `${plural(total, "scan")}${filters.status || filters.tool ? " with these filters" : ""}.`);
  view.none.hidden = data.length > 0;
  view.box.hidden = !data.length;
  text(view.none, filters.status || filters.tool ? "No scan has these." : "No scan yet. Submit the first: one address and the port 80 are enough to see it work.");
  const rows = new Map(data.map((scan) => [scan.job_id, view.rows.get(scan.job_id) ?? row()]));
  for (const [id, old] of view.rows) if (!rows.has(id)) old.remove();
  data.forEach((scan, index) => {
    const one = rows.get(scan.job_id);
    if (view.body.children[index] !== one) view.body.insertBefore(one, view.body.children[index] ?? null);
    one.bring(scan);
  });
  view.rows = rows;
}

function row() {
  const title = link("", "");
  const under = h("p", { class: "hint" });
  const tool = h("td", { "data-column": "Tool" });
  const status = h("span", {});
  const meter = h("span", { class: "meter" }, h("span", {}));
  const share = h("span", { class: "share" });
  const addresses = h("td", { "data-column": "Addresses" });
  const when = h("td", { "data-column": "Submitted" });
  const made = h("tr", {}, h("th", { scope: "row" }, title, under), tool,
    h("td", { "data-column": "Progress" }, h("div", { class: "progress" }, status, meter, share)), addresses, when);
  made.bring = (scan) => {
    text(title, scan.name || cut(scan.target, 60));
    set(title, { href: `#/scans/${encodeURIComponent(scan.job_id)}` });
    text(under, scan.error ? cut(scan.error, 140) : scan.name ? cut(scan.target, 60) : "");
    text(tool, `${scan.tool} ${scan.scan_type.replaceAll("_", " ")}`);
    const state = scan.paused ? "paused" : scan.status;
    if (made.status !== state) fill(status, badge(state));
    set(meter.firstChild, { style: { "inline-size": `${scan.progress}%` } });
    text(share, `${Math.floor(scan.progress)} %`);
    text(addresses, count(scan.target_count));
    fill(when, time(scan.created_at));
    made.status = state;
  };
  return made;
}
