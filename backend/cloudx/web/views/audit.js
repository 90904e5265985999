// Who changed what, newest first.

import { get, withQuery } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { attempt, button, heading, input, table } from "../parts.js";

const PAGE = 100;

export function show(main) {
  const said = h("div", {});
  const list = h("div", {}, h("p", { class: "hint" }, "Asking the API…"));
  const view = { items: [], next: null, filters: { principal: "", action: "" } };
  const load = (cursor) => attempt(said, async () => {
    const page = await get(withQuery("/api/audit", { ...view.filters, limit: PAGE, cursor }));
    view.items = cursor ? [...view.items, ...page.items] : page.items;
    view.next = page.next_cursor;
    fill(list, rows(view), view.next ? h("div", { class: "actions pager" }, button("Show more", () => load(view.next))) : null);
  });
  const filter = (name, words) => input({ type: "search", placeholder: words, "aria-label": words, onchange: (event) => {
    view.filters[name] = event.target.value.trim();
    load(null);
  } });
  main.append(heading("Audit", { lead: "Every change, who made it, and with which role." }),
    h("div", { class: "filters", role: "search" }, filter("principal", "Who, for example admin"), filter("action", "What, for example scan.submit")), said, list);
  load(null);
}

const details = (detail) => Object.entries(detail).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("; ");

function rows({ items }) {
  return table("Audit", ["When", "Who", "What", "Of", "Detail"], items.map((one) => [
    h("time", { datetime: one.at }, moment(one.at)), [one.principal, h("p", { class: "hint" }, one.role)], h("code", {}, one.action),
    one.action.startsWith("scan.") ? h("a", { class: "mono", href: `#/scans/${encodeURIComponent(one.subject)}` }, one.subject) : h("span", { class: "mono" }, one.subject),
    details(one.detail).slice(0, 300)]), { empty: "No entry matches." });
}
