// A new scan: what is typed is planned by the API meanwhile, so that its cost and its refusals show before it is sent.

import { ApiError, get, part, post } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { count, duration, plural } from "../format.js";
import { button, field, heading, input, notice, select } from "../parts.js";
import { has, may } from "../session.js";
import { TOOLS, portRule } from "./tools.js";

const PAUSE_MILLISECONDS = 350; // after the last key
// The API's field → the form's.
const FIELD = { target: "targets", targets: "targets", port: "ports", ports: "ports" };

export function show(main, { query }) {
  const form = build(query.get("tool") ?? "nmap");
  const plan = h("div", { "aria-live": "polite" }, h("p", { class: "hint" }, "Name a target, and see what the scan will cost before you send it."));
  const said = h("div", {});
  const send = h("button", { type: "submit", class: "button primary" }, "Start the scan");
  const view = { form, plan, said, send, turn: 0, timer: null, key: newKey() };
  const whole = h("form", { class: "submit", novalidate: true, oninput: () => soon(view), onsubmit: (event) => submit(event, view) },
    h("div", { class: "card" }, form.elements, said, h("div", { class: "actions" }, send)),
    h("aside", { class: "card plan", "aria-label": "What it will cost" }, h("h2", {}, "What it will cost"), plan));
  main.append(heading("New scan", { lead: "Only what your scopes allow is scanned, and never what is excluded." }), whole);
  if (!may("operator")) fill(said, notice("Your token may look, not scan. Ask an admin for an operator's."));
  offerLists(view);
  if (query.get("from")) repeat(view, query.get("from"));
  if (query.get("target")) { form.fields.targets.input.value = query.get("target"); soon(view); }
  return () => { clearTimeout(view.timer); view.turn += 1; };
}

// crypto.randomUUID is for https alone; a fleet's page may come by http.
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function build(tool) {
  const fields = {
    targets: field("Targets", h("textarea", { name: "targets", rows: "4", spellcheck: "false", autocapitalize: "off", placeholder: "192.0.2.0/24\nwww.example.org" }),
      { hint: "Addresses, CIDRs, ranges and host names; commas, spaces or lines between." }),
    list: field("Or a list", select([["", "None: the targets above"]]), { hint: "Its targets as they are when the scan is sent." }),
    scan_type: field("Kind", select([])),
    ports: field("Ports", input({ class: "mono", name: "ports", placeholder: "80,443 or 1-1000" })),
    rate: field("Rate", input({ type: "number", min: "1", inputmode: "numeric", name: "rate" }), { hint: "Packets per second over the whole fleet." }),
    then: field("Then", select([["", "Nothing more"], ["default", "nmap on what is open"], ["intense", "nmap on what is open, with versions"], ["vuln", "nmap on what is open, with vulnerability scripts"]])),
    name: field("Name", input({ name: "name", maxlength: "128" }), { hint: "How you will know it later." }),
    exclude: field("Leave out", h("textarea", { name: "exclude", rows: "2", spellcheck: "false" }), { hint: "Written as targets are." }),
    retries: field("Retries", input({ type: "number", min: "0", max: "5" }), { hint: "Of each probe that is not answered." }),
    timeout_seconds: field("Give a host up after", input({ type: "number", min: "1" }), { hint: "Seconds; nmap alone." }),
    budget_seconds: field("Stop after", input({ type: "number", min: "1" }), { hint: "Seconds from its start." }),
    priority: field("Priority", input({ type: "number", min: "-1000", max: "1000" }), { hint: "Higher goes first; above 0 takes an admin." }),
  };
  const resolve = h("input", { type: "checkbox", id: "resolve", name: "resolve" });
  const toolOf = () => radios.querySelector(":checked").value;
  const radios = h("div", { class: "segments", onchange: () => kinds(fields, toolOf()) }, Object.entries(TOOLS).map(([name, { words }]) =>
    h("label", {}, h("input", { type: "radio", name: "tool", value: name, checked: name === tool || (name === "nmap" && !(tool in TOOLS)) }), words)));
  const says = h("p", { class: "hint" });
  const form = { fields, resolve, toolOf, radios, says };
  form.elements = [fields.targets, fields.list, h("fieldset", {}, h("legend", {}, "Tool"), radios, says),
    h("div", { class: "field-grid" }, fields.scan_type, fields.ports, fields.rate), fields.then, fields.name,
    h("details", {}, h("summary", {}, "More"), fields.exclude,
      h("div", { class: "field-grid" }, fields.retries, fields.timeout_seconds, fields.budget_seconds, fields.priority),
      h("p", { class: "check" }, resolve, h("label", { for: "resolve" }, "Look up the host names of what is found")))];
  fields.says = says;
  fields.scan_type.input.addEventListener("change", () => ports(fields, toolOf()));
  kinds(fields, toolOf());
  return form;
}

function kinds(fields, tool, type) {
  fields.says.textContent = TOOLS[tool].says;
  fill(fields.scan_type.input, TOOLS[tool].types.map(([name, words]) => h("option", { value: name }, words)));
  if (type) fields.scan_type.input.value = type;
  ports(fields, tool);
}

function ports(fields, tool) {
  const rule = portRule(tool, fields.scan_type.input.value);
  fields.ports.hidden = rule === "none";
  fields.ports.input.required = rule === "required";
  if (rule === "none") fields.ports.input.value = "";
  fields.then.hidden = tool === "nmap" || rule === "none"; // two stages: the open ports of a fast tool go to nmap
}

/** The request as it is typed. */
function body({ fields, resolve, toolOf }) {
  const list = fields.list.input.value;
  const made = { ...(list ? { list } : { targets: [fields.targets.input.value] }), tool: toolOf(), scan_type: fields.scan_type.input.value, resolve: resolve.checked };
  if (!fields.then.hidden && fields.then.input.value) made.then = { tool: "nmap", scan_type: fields.then.input.value };
  for (const name of ["ports", "name", "exclude"]) {
    const value = fields[name].input.value.trim();
    if (value) made[name] = value;
  }
  for (const name of ["rate", "retries", "timeout_seconds", "budget_seconds", "priority"]) {
    if (fields[name].input.value !== "") made[name] = Number(fields[name].input.value);
  }
  return made;
}

/** The lists that there are; where there is none, the choice is not shown. */
async function offerLists(view) {
  const { list } = view.form.fields;
  list.hidden = true;
  if (!has("lists")) return;
  const lists = await get("/api/lists").catch((error) => { if (error instanceof ApiError) return []; throw error; });
  list.input.append(...lists.map((one) => h("option", { value: one.name }, `${one.name} (${plural(one.targets.length, "target")})`)));
  list.hidden = !lists.length;
}

function soon(view) {
  view.key = newKey(); // another request; one that got no answer is sent again under its own key
  clearTimeout(view.timer);
  view.timer = setTimeout(() => estimate(view), PAUSE_MILLISECONDS);
}

async function estimate(view) {
  const mine = (view.turn += 1);
  const { targets, list } = view.form.fields;
  targets.input.disabled = list.input.value !== "";
  if ((!targets.input.value.trim() && !list.input.value) || !may("operator")) return;
  try {
    const plan = await post("/api/scans/plan", body(view.form));
    if (mine !== view.turn) return;
    clear(view);
    view.said.querySelector(".is-bad")?.remove();
    fill(view.plan, shown(plan));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === view.turn) refuse(view, error);
  }
}

function clear(view) {
  for (const one of Object.values(view.form.fields)) one.say?.("");
}

/** Put the refusal below its field, else beside the button. */
function refuse(view, error) {
  clear(view);
  const about = view.form.fields[FIELD[error.field] ?? error.field];
  if (about?.say) about.say(error.message);
  fill(view.plan, about?.say ? h("p", { class: "hint" }, "It cannot be sent like this; the reason is at its field.") : notice(error.message));
}

function shown(plan) {
  const facts = [
    ["Time", `about ${duration(plan.seconds)}`], ["Addresses", count(plan.target_count)],
    [plan.unit === "hosts" ? "Hosts to scan" : "Probes to send", count(plan.planned - plan.excluded)],
    ["Packets", `${count(plan.probes)} or more`],
    ["Rate", plan.rate ? `${count(plan.rate)} packets/s` : "as fast as each node may"],
    ["Nodes", `${plural(plan.nodes.length, "node")} can run it`], ["Pieces", plural(plan.chunks, "chunk")],
    plan.excluded ? ["Left out", `${count(plan.excluded)} ${plan.unit}: ${plan.excluded_ranges.join(", ")}`] : null,
  ].filter(Boolean);
  return [h("p", { class: "big" }, duration(plan.seconds), h("span", {}, ` for ${plural(plan.target_count, "address", "addresses")}`)),
    plan.planned === plan.excluded ? notice("All of it is excluded: nothing would be sent.", "note") : null,
    plan.warnings.map((words) => notice(words, "note")),
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("p", { class: "hint" }, "A guess: every address is up and nobody else scans.")];
}

async function submit(event, view) {
  event.preventDefault();
  clearTimeout(view.timer);
  view.turn += 1;
  view.send.disabled = true;
  try {
    const { job_id: id } = await post("/api/scans", body(view.form), { headers: { "Idempotency-Key": view.key } });
    announce("The scan is submitted.");
    location.hash = `#/scans/${part(id)}`;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refuse(view, error);
    fill(view.said, notice(error.message));
    view.form.elements[0].parentNode.querySelector("[aria-invalid]")?.focus();
  } finally {
    view.send.disabled = false;
  }
}

/** Fill in what another scan was. */
async function repeat(view, id) {
  try {
    const scan = await get(`/api/scans/${part(id)}`);
    const { fields, radios, resolve } = view.form;
    fields.targets.input.value = scan.target.replaceAll(",", "\n");
    radios.querySelector(`[value="${CSS.escape(scan.tool)}"]`).checked = true;
    kinds(fields, scan.tool, scan.scan_type);
    for (const name of ["ports", "rate", "name", "retries", "timeout_seconds", "budget_seconds"]) fields[name].input.value = scan[name] ?? "";
    fields.then.input.value = scan.then?.scan_type ?? "";
    resolve.checked = scan.resolve;
    if (scan.coverage.excluded) fill(view.said, notice("Part of that scan was left out. What it left out itself is not kept: name it again under “More”.", "note"));
    estimate(view);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(view.said, notice(error.message));
  }
}
