// API tokens: made here, shown once, revoked here.

import { get, part, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { moment } from "../format.js";
import { attempt, button, confirmed, field, heading, input, notice, select, table, time } from "../parts.js";
import { session } from "../session.js";

export function show(main) {
  const said = h("div", {});
  const list = h("div", {}, h("p", { class: "hint" }, "Asking the API…"));
  const reload = () => attempt(said, async () => { fill(list, records(await get("/api/tokens"), said, reload)); });
  const isOpen = session().auth === "open";
  main.append(heading("Tokens", { lead: "Each person, program and node has one of its own. Its secret is shown once." }), said, list,
    isOpen ? notice("An open API makes no tokens: whoever reaches it could keep one for later. Set CLOUDX_AUTH=token.", "note") : adding(reload));
  reload();
}

function records(tokens, said, reload) {
  const revoke = (token) => button("Revoke", async () => {
    if (!(await confirmed(`Revoke the token ${token.name}? Whoever uses it is shut out within seconds.`, "Revoke it"))) return;
    if (await attempt(said, () => remove(`/api/tokens/${part(token.id)}`))) reload();
  }, { kind: "small", "aria-label": `Revoke ${token.name}` });
  return table("Tokens", ["Name", "Role", "Node", "Expires", "Made", "Change"], tokens.map((token) => [token.name, token.role, token.node_id ?? "",
    token.expires_at ? moment(token.expires_at) : "never", [time(token.created_at), h("p", { class: "hint" }, token.created_by)], revoke(token)]),
  { empty: "There is no token yet. You are signed in with the one that the install was given." });
}

function adding(reload) {
  const fields = {
    name: field("Name", input({ required: true, maxlength: "128" }), { hint: "Who or what will use it." }),
    role: field("Role", select([["viewer", "Viewer: looks"], ["operator", "Operator: scans"], ["admin", "Admin: everything"], ["node", "Node: beats for one node"]])),
    node_id: field("Node id", input({ class: "mono" }), { hint: "Of the node it speaks for." }),
    expires_at: field("Expires", input({ type: "datetime-local" }), { hint: "In your own time zone; empty: never." }),
  };
  fields.node_id.hidden = true;
  fields.role.input.addEventListener("change", () => { fields.node_id.hidden = fields.role.input.value !== "node"; });
  const said = h("div", {});
  const form = h("form", { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    let made = null;
    const isDone = await attempt(said, async () => { made = await post("/api/tokens", body(fields)); });
    if (!isDone) return;
    fill(said, notice("The token is made. Keep its secret now: it is shown this once.", "ok"), h("p", { class: "secret", tabindex: "0", "aria-label": "The token's secret" }, made.token));
    form.reset();
    fields.node_id.hidden = true;
    reload();
  } }, fields.name, h("div", { class: "field-grid" }, fields.role, fields.node_id, fields.expires_at),
  h("button", { type: "submit", class: "button primary" }, "Make the token"));
  return h("section", { class: "card narrow", "aria-label": "Make a token" }, h("h2", {}, "Make a token"), form, said);
}

function body({ name, role, node_id: node, expires_at: expires }) {
  return { name: name.input.value, role: role.input.value, ...(role.input.value === "node" ? { node_id: node.input.value.trim() } : {}),
    ...(expires.input.value ? { expires_at: new Date(expires.input.value).toISOString() } : {}) };
}
