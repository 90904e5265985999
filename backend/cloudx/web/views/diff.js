// What changed from one scan to another.

import { ApiError, get, part, withQuery } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { count, cut, moment } from "../format.js";
import { attempt, badge, button, field, heading, link, notice, select, table } from "../parts.js";

const CHANGES = ["opened", "closed", "changed", "not_observed"];
const WORDS = { opened: "opened", closed: "closed", changed: "changed", not_observed: "not observed", unchanged: "unchanged" };
const PAGE = 500;

export function show(main, { query }) {
  const view = { before: query.get("before") ?? "", after: query.get("after") ?? "", change: "", items: [], next: null, turn: 0 };
  view.said = h("div", {});
  view.form = h("div", { class: "card diff-form" });
  view.out = h("div", {});
  main.append(heading("Diff", { lead: "Closed is only what was probed again and found closed; what was not, is not observed." }), view.said, view.form, view.out);
  choices(view);
}

async function choices(view) {
  await attempt(view.said, async () => {
    const scans = (await get("/api/scans?limit=200&results=false")).filter((scan) => scan.status !== "submitted");
    if (scans.length < 2) return fill(view.form, h("p", {}, "A diff needs two scans. Repeat one, and compare it with itself."), link("To the scans", "#/scans")) && undefined;
    const before = (after) => scans.find((scan) => scan.target === after.target && scan.created_at < after.created_at);
    view.after ||= (scans.find(before) ?? scans[0]).job_id;
    const after = scans.find((scan) => scan.job_id === view.after);
    view.before ||= ((after && before(after)) ?? scans.find((scan) => scan.job_id !== view.after)).job_id;
    const options = scans.map((scan) => [scan.job_id, `${scan.name || cut(scan.target, 40)} · ${scan.tool} · ${moment(scan.created_at)}`]);
    for (const id of [view.before, view.after]) if (!options.some(([known]) => known === id)) options.push([id, id]);
    const choose = (name, words) => field(words, select(options, { value: view[name], onchange: (event) => { view[name] = event.target.value; load(view); } }));
    fill(view.form, choose("before", "From"), choose("after", "To"));
    return load(view);
  });
}

async function load(view, cursor = null) {
  const mine = (view.turn += 1);
  history.replaceState(null, "", withQuery("#/diff", { before: view.before, after: view.after }));
  const path = `/api/scans/${part(view.before)}/diff/${part(view.after)}`;
  try {
    const page = await get(withQuery(path, { change: view.change, cursor, limit: PAGE }));
    if (mine !== view.turn) return;
    view.items = cursor ? [...view.items, ...page.items] : page.items;
    view.next = page.next_cursor;
    draw(view, page.summary, path);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === view.turn) fill(view.out, notice(error.message));
  }
}

function draw(view, summary, path) {
  const tile = (change) => h("button", { type: "button", class: "chip", "aria-pressed": String(view.change === change), onclick: () => {
    view.change = view.change === change ? "" : change;
    load(view);
  } }, h("b", {}, count(summary[change])), WORDS[change]);
  fill(view.out,
    h("div", { class: "tiles", role: "group", "aria-label": "Show only" }, CHANGES.map(tile),
      h("p", { class: "chip still" }, h("b", {}, count(summary.unchanged)), "unchanged")),
    h("div", { class: "row downloads" }, ["ndjson", "csv"].map((format) => link(format.toUpperCase(), withQuery(path, { format, change: view.change }), { download: `diff.${format}`, kind: "button small" }))),
    table("Changes", ["Address", "Port", "Change", "Before", "After"], view.items.map(row), { empty: "Nothing changed." }),
    view.next ? h("div", { class: "actions pager" }, button("Show more", () => load(view, view.next))) : null);
  announce(CHANGES.map((change) => `${count(summary[change])} ${WORDS[change]}`).join(", "));
}

const told = (finding) => (finding ? [finding.state, finding.service, finding.product, finding.version].filter(Boolean).join(" · ") : "–");

const row = (item) => [h("span", { class: "mono" }, item.ip), `${item.port}/${item.protocol}`, badge(item.change, WORDS[item.change]), told(item.before), told(item.after)];
