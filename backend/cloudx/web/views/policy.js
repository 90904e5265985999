// Scopes, exclusions and canaries: what may be scanned, what never may, and who tells that a node's way out works.

import { get, part, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { attempt, badge, button, confirmed, field, heading, input, table, time } from "../parts.js";
import { may } from "../session.js";

const targetsField = (hint) => field("Targets", h("textarea", { rows: "3", required: true, spellcheck: "false", autocapitalize: "off" }), { hint });
const noteField = () => field("Note", input({ maxlength: "500" }));
const targetsOf = (box) => box.input.value.split(/[\s,]+/).filter(Boolean);
const shownTargets = (targets) => h("span", { class: "mono" }, targets.length > 12 ? `${targets.slice(0, 12).join(", ")} and ${targets.length - 12} more` : targets.join(", "));

const KINDS = {
  scopes: {
    title: "Scopes", lead: "What may be scanned, and who answers for it. Without a scope nothing outside of loopback is.", one: "scope",
    columns: ["Targets", "Owner", "State", "Note", "Added"], drop: "Withdraw", question: "Withdraw this scope? Scans that rely on it end within seconds.",
    row: (one) => [shownTargets(one.targets), one.owner, [badge(one.live ? "live" : "expired"), one.expires_at ? h("p", { class: "hint" }, `until ${moment(one.expires_at)}`) : null], one.note, [time(one.created_at), h("p", { class: "hint" }, one.created_by)]],
    fields: () => ({ targets: targetsField("CIDRs, ranges, addresses, host names."), owner: field("Owner", input({ required: true, maxlength: "128" }), { hint: "Who may be asked about it." }),
      note: noteField(), expires_at: field("Ends", input({ type: "datetime-local" }), { hint: "In your own time zone; empty: it does not end." }) }),
    body: (fields) => ({ targets: targetsOf(fields.targets), owner: fields.owner.input.value, note: fields.note.input.value,
      ...(fields.expires_at.input.value ? { expires_at: new Date(fields.expires_at.input.value).toISOString() } : {}) }),
  },
  exclusions: {
    title: "Exclusions", lead: "What is never probed, in running scans too, whatever a scope allows.", one: "exclusion",
    columns: ["Targets", "Note", "Added"], drop: "Remove", question: "Remove this exclusion? Its targets may be probed again.",
    row: (one) => [shownTargets(one.targets), one.note, [time(one.created_at), h("p", { class: "hint" }, one.created_by)]],
    fields: () => ({ targets: targetsField("CIDRs, ranges, addresses, host names."), note: noteField() }),
    body: (fields) => ({ targets: targetsOf(fields.targets), note: fields.note.input.value }),
  },
  lists: {
    title: "Lists", lead: "Targets under a name, which scans and schedules refer to. A list allows nothing: a scope does.", one: "list", role: "operator",
    columns: ["Name", "Targets", "Added"], drop: "Forget", question: "Forget this list? A schedule that names it is refused at its next run.",
    row: (one) => [one.name, shownTargets(one.targets), [time(one.created_at), h("p", { class: "hint" }, one.created_by)]],
    fields: () => ({ name: field("Name", input({ required: true, maxlength: "128" })), targets: targetsField("CIDRs, ranges, addresses, host names.") }),
    body: (fields) => ({ name: fields.name.input.value.trim(), targets: targetsOf(fields.targets) }),
  },
  canaries: {
    title: "Canaries", lead: "Listeners that are known to answer. A node that no canary answers takes no work.", one: "canary",
    columns: ["Target", "Port", "Note", "Added"], drop: "Forget", question: "Forget this canary?",
    row: (one) => [h("span", { class: "mono" }, one.target), `${one.port}/${one.protocol}`, one.note, [time(one.created_at), h("p", { class: "hint" }, one.created_by)]],
    fields: () => ({ target: field("Target", input({ required: true }), { hint: "One address or host name of yours." }),
      port: field("Port", input({ type: "number", min: "1", max: "65535", required: true })), note: noteField() }),
    body: (fields) => ({ target: fields.target.input.value.trim(), port: Number(fields.port.input.value), protocol: "tcp", note: fields.note.input.value }),
  },
};

export function show(main, { matched: [name] }) {
  const kind = KINDS[name];
  const said = h("div", {});
  const list = h("div", { "aria-busy": "true" }, h("p", { class: "hint" }, "Asking the API…"));
  const reload = () => attempt(said, async () => fill(list, records(name, kind, await get(`/api/${name}`), said, reload)) && undefined);
  main.append(heading(kind.title, { lead: kind.lead }), said, list, may(kind.role ?? "admin") ? adding(name, kind, reload) : h("p", { class: "hint" }, `An ${kind.role ?? "admin"} changes these.`));
  reload();
}

function records(name, kind, items, said, reload) {
  const mayChange = may(kind.role ?? "admin");
  const columns = mayChange ? [...kind.columns, "Change"] : kind.columns;
  const drop = (one) => button(kind.drop, async () => {
    if (!(await confirmed(kind.question, kind.drop))) return;
    if (await attempt(said, async () => (await remove(`/api/${name}/${part(one.id)}`)).message)) reloadKeeping(said, reload);
  }, { kind: "small", "aria-label": `${kind.drop} ${one.name ?? one.targets?.[0] ?? one.target}` });
  return table(kind.title, columns, items.map((one) => (mayChange ? [...kind.row(one), drop(one)] : kind.row(one))),
    { empty: `There is no ${kind.one} yet.` });
}

/** Load again and leave the words of what was done where they are. */
async function reloadKeeping(said, reload) {
  const words = [...said.childNodes];
  await reload();
  if (!said.childNodes.length) said.append(...words);
}

function adding(name, kind, reload) {
  const fields = kind.fields();
  const said = h("div", {});
  const form = h("form", { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    for (const one of Object.values(fields)) one.say("");
    const isDone = await attempt(said, async () => {
      await post(`/api/${name}`, kind.body(fields));
      return `The ${kind.one} is added.`;
    });
    if (isDone) {
      form.reset();
      reload();
    }
  } }, Object.values(fields), said, h("button", { type: "submit", class: "button primary" }, `Add the ${kind.one}`));
  return h("section", { class: "card narrow", "aria-label": `Add a ${kind.one}` }, h("h2", {}, `Add ${kind.one === "exclusion" ? "an" : "a"} ${kind.one}`), form);
}
