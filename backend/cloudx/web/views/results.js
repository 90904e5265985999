// What a scan found: a filtered list, a picture of ports by hosts, and downloads.

import { ApiError, lines, part } from "../api.js";
import { announce, fill, h, text } from "../dom.js";
import { count, moment, plural } from "../format.js";
import { badge, button, input, link, notice, select } from "../parts.js";
import { picture } from "../picture.js";

const KEPT = 300_000; // findings in the browser's memory; the downloads have all
const SHOWN = 60; // rows at a time
const DRAW_AGAIN_MILLISECONDS = 700;
const RELOAD_MILLISECONDS = 4000;
const FORMATS = [["json", "JSON"], ["ndjson", "NDJSON"], ["csv", "CSV"], ["xml", "nmap XML"]];
const OPEN = new Set(["open", "open|filtered", "up"]);

/** Fill a section with the findings of a scan; while it runs they are read again. Returns what ends it. */
export function resultsPart(section, scan) {
  const view = { scan, rows: [], filters: { words: "", state: "", cell: null }, shown: SHOWN, isOver: false, aborting: null };
  view.count = h("p", { class: "hint", role: "status" });
  view.error = h("div", {});
  view.list = h("div", {});
  view.picture = picture((cell) => { view.filters.cell = cell; view.shown = SHOWN; draw(view); });
  view.cell = h("div", { class: "row" });
  const path = `/api/scans/${part(scan.job_id)}/results`;
  fill(section,
    h("div", { class: "row spread" }, h("h2", { id: "found" }, "Found"),
      h("ul", { class: "row downloads", "aria-label": "Downloads" }, FORMATS.map(([format, words]) =>
        h("li", {}, link(words, `${path}?format=${format}${format === "json" ? "&limit=5000" : ""}`, { download: `scan-${scan.job_id}.${format}`, kind: "button small" }))))),
    view.error, view.picture, controls(view), view.cell, view.count, view.list);
  read(view, path);
  return () => { view.isOver = true; view.aborting?.abort(); clearTimeout(view.timer); };
}

function controls(view) {
  const change = (name) => (event) => { view.filters[name] = event.target.value; view.shown = SHOWN; draw(view); };
  return h("div", { class: "filters", role: "search" },
    input({ type: "search", placeholder: "Address, port, service, words of a banner", "aria-label": "Search what was found", oninput: change("words") }),
    select([["", "Every state"], ["open", "Open"], ["closed", "Closed"], ["filtered", "Filtered"], ["up", "Up"]], { "aria-label": "State", onchange: change("state") }));
}

async function read(view, path) {
  view.aborting = new AbortController();
  const rows = [];
  let drawnAt = performance.now();
  try {
    for await (const batch of lines(`${path}?format=ndjson`, { signal: view.aborting.signal })) {
      for (const row of batch) rows.push(row);
      if (rows.length >= KEPT) { view.aborting.abort(); break; }
      if (rows.length > view.rows.length && performance.now() - drawnAt > DRAW_AGAIN_MILLISECONDS) {
        view.rows = rows;
        draw(view);
        drawnAt = performance.now();
      }
    }
  } catch (error) {
    if (view.isOver || (error.name === "AbortError" && rows.length < KEPT)) return;
    if (error.name !== "AbortError") {
      if (!(error instanceof ApiError) && !(error instanceof TypeError)) throw error;
      fill(view.error, notice(error instanceof ApiError ? error.message : "The findings did not arrive whole. Open the scan again."));
    }
  }
  if (view.isOver) return;
  view.rows = rows;
  draw(view);
  if (!["completed", "failed", "stopped"].includes(view.scan.status)) view.timer = setTimeout(() => read(view, path), RELOAD_MILLISECONDS);
}

const haystack = (row) => (row.haystack ??= JSON.stringify(Object.values(row)).toLowerCase());

function matches(row, { words, state, cell }) {
  return (!state || row.state === state || (state === "open" && row.state === "open|filtered"))
    && (!cell || (cell.has(row.ip) && (cell.port === null || (row.port === cell.port && row.protocol === cell.protocol))))
    && (!words || haystack(row).includes(words));
}

function draw(view) {
  const filters = { ...view.filters, words: view.filters.words.trim().toLowerCase() };
  if (view.drawn !== view.rows || view.drawnLength !== view.rows.length) {
    view.picture.draw(view.rows.filter((row) => OPEN.has(row.state)));
    view.drawn = view.rows;
    view.drawnLength = view.rows.length;
  }
  const chosen = view.rows.filter((row) => matches(row, filters));
  const isFiltered = filters.words || filters.state || filters.cell;
  const over = view.rows.length >= KEPT ? ` The first ${count(KEPT)} are shown here; the downloads have all.` : "";
  text(view.count, view.rows.length ? `${isFiltered ? `${count(chosen.length)} of ` : ""}${plural(view.rows.length, "finding")}.${over}` : "");
  fill(view.cell, filters.cell ? [h("span", {}, `Only ${filters.cell.words}`), button("Show all", () => {
    view.filters.cell = null;
    draw(view);
  }, { kind: "small" })] : null);
  if (isFiltered) announce(`${plural(chosen.length, "finding")}`);
  drawRows(view, chosen);
}

function drawRows(view, chosen) {
  if (!chosen.length) {
    const isRunning = !["completed", "failed", "stopped"].includes(view.scan.status);
    fill(view.list, h("p", { class: "empty" }, view.rows.length ? "Nothing matches." : isRunning ? "Nothing found yet." : "It found nothing: no probed port answered."));
    return;
  }
  const columns = ["Address", "Port", "State", "Service", "Told of itself", "Seen"];
  fill(view.list, h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Findings" }, h("table", { class: "data" },
    h("caption", { class: "visually-hidden" }, "Findings"),
    h("thead", {}, h("tr", {}, columns.map((words) => h("th", { scope: "col" }, words)))),
    h("tbody", {}, chosen.slice(0, view.shown).map((row) => tableRow(row, columns))))),
  chosen.length > view.shown ? h("div", { class: "actions pager" }, button(`Show ${count(Math.min(SHOWN, chosen.length - view.shown))} more`, () => {
    view.shown += SHOWN;
    draw(view);
  })) : null);
}

const STATE_BADGE = { open: "healthy", up: "healthy", closed: "closed" };

function tableRow(row, columns) {
  const cells = [
    h("th", { scope: "row" }, h("span", { class: "mono" }, row.ip), row.hostname ? h("p", { class: "hint" }, row.hostname) : null),
    h("td", { "data-column": columns[1], class: "nowrap" }, row.protocol === "icmp" ? "icmp" : `${row.port}/${row.protocol}`),
    h("td", { "data-column": columns[2] }, badge(STATE_BADGE[row.state] ?? "degraded", row.state)),
    h("td", { "data-column": columns[3] }, row.service ?? ""),
    h("td", { "data-column": columns[4] }, toldOf(row)),
    h("td", { "data-column": columns[5] }, h("time", { datetime: row.observed_at, title: `by ${row.node_id}` }, moment(row.observed_at)))];
  return h("tr", {}, cells);
}

const OWN = new Set(["scan_id", "ip", "hostname", "protocol", "port", "state", "service", "observed_at", "node_id", "haystack"]);
const TOLD_LENGTH = 400;

/** What the tool adds: product and version in plain words, the rest by name. */
export function toldOf(row) {
  const product = [row.product, row.version, row.extrainfo].filter((one) => typeof one === "string").join(" ");
  const rest = Object.entries(row).filter(([name]) => !OWN.has(name) && !["product", "version", "extrainfo"].includes(name))
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("; ");
  return [product && h("p", {}, product), rest && h("p", { class: "hint", title: rest.slice(0, 4000) }, rest.length > TOLD_LENGTH ? `${rest.slice(0, TOLD_LENGTH)}…` : rest)];
}
