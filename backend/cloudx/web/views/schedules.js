// Scans that start by themselves.

import { get, part, patch, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { keepFresh } from "../live.js";
import { attempt, badge, button, confirmed, field, heading, input, link, select, table, time } from "../parts.js";
import { may } from "../session.js";
import { TOOLS, portRule } from "./tools.js";

export function show(main) {
  const said = h("div", {});
  const list = h("div", {}, h("p", { class: "hint" }, "Asking the API…"));
  let drawn = null;
  const draw = (items) => {
    const key = JSON.stringify(items);
    if (key === drawn) return; // a button that has the focus keeps it
    drawn = key;
    fill(list, records(items, said, () => end.now()));
  };
  main.append(heading("Schedules", { lead: "Each runs its scan at its times, once a time, whatever dies meanwhile." }), said, list, may("operator") ? adding(() => end.now()) : h("p", { class: "hint" }, "An operator adds these."));
  const end = keepFresh((signal) => get("/api/schedules", { signal }), draw, { everyMilliseconds: 3000, types: ["scan"] });
  return end;
}

function records(items, said, reload) {
  const act = async (doIt) => { if (await attempt(said, doIt)) reload(); };
  const actions = (one) => h("div", { class: "row" },
    button("Run now", () => act(async () => { await post(`/api/schedules/${part(one.id)}/run`); return `${one.name} runs now.`; }), { kind: "small", "aria-label": `Run ${one.name} now` }),
    button(one.enabled ? "Pause" : "Resume", () => act(() => patch(`/api/schedules/${part(one.id)}`, { enabled: !one.enabled })), { kind: "small", "aria-label": `${one.enabled ? "Pause" : "Resume"} ${one.name}` }),
    button("Delete", async () => { if (await confirmed(`Delete the schedule ${one.name}? Its scans stay.`, "Delete it")) act(() => remove(`/api/schedules/${part(one.id)}`)); }, { kind: "small", "aria-label": `Delete ${one.name}` }));
  const columns = ["Name", "When", "Next", "Last run", ...(may("operator") ? ["Change"] : [])];
  return table("Schedules", columns, items.map((one) => [one.name, [h("code", {}, one.cron), h("p", { class: "hint" }, one.timezone)],
    one.enabled ? moment(one.next_runs?.[0]) : badge("paused"), lastRun(one.last_run), ...(may("operator") ? [actions(one)] : [])]), { empty: "There is no schedule yet." });
}

const lastRun = (run) => (!run ? "never" : [time(run.at), h("p", { class: "hint" }, run.scan_id ? link(run.outcome, `#/scans/${encodeURIComponent(run.scan_id)}`) : run.outcome)]);

function adding(reload) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
  const kinds = Object.entries(TOOLS).flatMap(([tool, { types }]) => types.map(([type, words]) => [`${tool} ${type}`, `${tool}: ${words}`]));
  const fields = {
    name: field("Name", input({ required: true, maxlength: "128" })),
    cron: field("Times", input({ class: "mono", required: true, placeholder: "0 3 * * 1" }), { hint: "Minute, hour, day, month, weekday: 0 3 * * 1 is Mondays at 3." }),
    timezone: field("Time zone", input({ value: zone })),
    targets: field("Targets", h("textarea", { rows: "3", spellcheck: "false", required: true })),
    kind: field("Kind", select(kinds)), ports: field("Ports", input({ class: "mono" })), rate: field("Rate", input({ type: "number", min: "1" }), { hint: "Packets per second." }),
    overlap: field("While the last one runs", select([["skip", "Leave it out"], ["queue", "Wait for it"]])),
    missed: field("If nobody was there", select([["skip", "Leave it out"], ["run_once", "Run it once, late"]])),
  };
  fields.kind.input.addEventListener("change", () => { fields.ports.hidden = portRule(...fields.kind.input.value.split(" ")) === "none"; });
  const said = h("div", {});
  const form = h("form", { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    if (await attempt(said, async () => { await post("/api/schedules", body(fields)); return "The schedule is added."; })) {
      form.reset();
      reload();
    }
  } }, fields.name, h("div", { class: "field-grid" }, fields.cron, fields.timezone), fields.targets,
  fields.kind, h("div", { class: "field-grid" }, fields.ports, fields.rate, fields.overlap, fields.missed), said,
  h("button", { type: "submit", class: "button primary" }, "Add the schedule"));
  return h("section", { class: "card narrow", "aria-label": "Add a schedule" }, h("h2", {}, "Add a schedule"), form);
}

function body(fields) {
  const value = (name) => fields[name].input.value.trim();
  const [tool, type] = fields.kind.input.value.split(" ");
  return { name: value("name"), cron: value("cron"), timezone: value("timezone"), overlap: value("overlap"), missed: value("missed"), enabled: true,
    scan: { targets: [value("targets")], tool, scan_type: type, ...(value("ports") ? { ports: value("ports") } : {}), ...(value("rate") ? { rate: Number(value("rate")) } : {}) } };
}
