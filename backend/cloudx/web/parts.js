// What several views share: headings, statuses, fields with their errors, tables, dialogs.

import { ApiError } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { ago, moment } from "./format.js";

const GLYPHS = {
  healthy: "●", completed: "●", live: "●", opened: "+", degraded: "◐", running: "◐", changed: "~", critical: "▲",
  failed: "▲", draining: "◌", submitted: "○", offline: "✕", stopped: "■", closed: "−", expired: "✕",
  not_observed: "?", paused: "‖",
};

/** A status as a shape and a word, so that colour is never alone. */
export function badge(status, words = status.replaceAll("_", " ")) {
  return h("span", { class: `badge is-${status}` },
    h("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[status] ?? "•"), words);
}

/** The head of a view: its title, which takes the focus, a line below, and what can be done. */
export function heading(title, { lead = null, actions = [] } = {}) {
  return h("header", { class: "view-head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lead && h("p", { class: "lead" }, lead)),
    actions.length ? h("div", { class: "actions" }, actions) : null);
}

export const button = (words, onclick, { kind = "", ...more } = {}) =>
  h("button", { type: "button", class: `button ${kind}`, onclick, ...more }, words);

export const link = (words, href, { kind = "", ...more } = {}) => h("a", { class: kind, href, ...more }, words);

/** A time that is told as an age, with the moment in its title. */
export const time = (iso) => h("time", { datetime: iso ?? "", title: moment(iso) }, ago(iso));

let lastId = 0;
export const newId = (name) => `${name}-${(lastId += 1)}`;

/** A labelled input. `.say(words)` shows an error below it, or takes it away. */
export function field(label, input, { hint = null, className = "" } = {}) {
  const id = input.id || newId("field");
  const error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const help = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  input.id = id;
  if (help) input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  else input.setAttribute("aria-describedby", `${id}-error`);
  const box = h("div", { class: `field ${className}` }, h("label", { for: id }, label), input, help, error);
  box.input = input;
  box.say = (words) => {
    error.textContent = words ?? "";
    error.hidden = !words;
    if (words) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  return box;
}

export const input = (props = {}) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...props });

export function select(options, props = {}) {
  const { value, ...more } = props;
  const made = h("select", more, options.map(([key, words]) => h("option", { value: key }, words)));
  if (value !== undefined) made.value = value;
  return made;
}

/** A table whose first column names each row; on a phone each row becomes a card. */
export function table(caption, columns, rows, { empty = "There is nothing here yet." } = {}) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "data" },
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((words) => h("th", { scope: "col" }, words)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, place) =>
        h(place ? "td" : "th", { scope: place ? null : "row", "data-column": columns[place] }, cell)))))));
}

/** Tell something where the reader looks; an error is read aloud at once, the rest by announce(). */
export function notice(words, kind = "bad") {
  return h("p", { class: `notice is-${kind}`, role: kind === "bad" ? "alert" : null }, words);
}

/** Ask before something that cannot be undone; true for yes. */
export function confirmed(question, doIt) {
  return new Promise((done) => {
    const title = newId("dialog");
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": title, onclose: () => {
      dialog.remove();
      done(dialog.returnValue === "yes");
    } },
    h("h2", { id: title }, question),
    h("div", { class: "actions" },
      button("Leave it", () => dialog.close("no"), { autofocus: true }),
      button(doIt, () => dialog.close("yes"), { kind: "danger" })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Do something and show its error at `place`; false where it failed. */
export async function attempt(place, doIt) {
  fill(place);
  try {
    const words = await doIt();
    if (typeof words === "string") {
      fill(place, notice(words, "ok"));
      announce(words);
    }
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(place, notice(error.message));
    return false;
  }
}
