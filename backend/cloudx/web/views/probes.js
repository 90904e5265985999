// Who probed an address: the answer to a complaint.

import { get, withQuery } from "../api.js";
import { fill, h } from "../dom.js";
import { moment, plural } from "../format.js";
import { attempt, field, heading, input, link, table } from "../parts.js";

export function show(main, { query }) {
  const ip = field("Address", input({ class: "mono", required: true, value: query.get("ip") ?? "" }), { hint: "As the complaint names it." });
  const at = field("When", input({ type: "datetime-local", step: "1" }), { hint: "In your own time zone; empty: now." });
  const window = field("Around it", input({ type: "number", min: "0", value: "300" }), { hint: "Seconds before and after." });
  const said = h("div", {});
  const out = h("div", {});
  const form = h("form", { class: "card", novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    await attempt(said, async () => {
      const answer = await get(withQuery("/api/probes", { ip: ip.input.value.trim(), window: window.input.value, at: at.input.value && new Date(at.input.value).toISOString() }));
      fill(out, rows(answer));
    });
  } }, h("div", { class: "field-grid" }, ip, at, window), said, h("button", { type: "submit", class: "button primary" }, "Look it up"));
  main.append(heading("Who probed", { lead: "Every attempt that may have sent a packet to an address then, lost and stopped ones too." }), form, out);
}

function rows(answer) {
  return [h("h2", { class: "after-form" }, `${plural(answer.probes.length, "attempt")} from ${moment(answer.from)} to ${moment(answer.to)}`),
    table("Attempts", ["Scan", "Node", "From address", "Ports", "Began", "Ended", "Asked by", "Scope"], answer.probes.map((one) => [
      link(`${one.tool} ${one.scan_type}`, `#/scans/${encodeURIComponent(one.scan_id)}`), one.node_id, one.source_ip ?? "not known", one.ports ?? "",
      moment(one.started_at), one.ended_at ? [moment(one.ended_at), h("p", { class: "hint" }, one.outcome)] : "goes on", one.asked_by,
      one.scope ? [one.scope.owner, h("p", { class: "hint" }, one.scope.note)] : ""]), { empty: "No attempt of this install reached it then." })];
}
