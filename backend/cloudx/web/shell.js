// The frame around every view: brand, navigation, the state of the connection, who is signed in.

import { fill, h, set, text } from "./dom.js";
import { connection } from "./live.js";
import { has, may, session, signOut } from "./session.js";
import { theme, turnTheme } from "./theme.js";

// [address, words, the least role, the API's resource that it needs]
const GROUPS = [
  ["Watch", [["fleet", "Fleet", "viewer", "nodes"], ["scans", "Scans", "viewer", "scans"],
    ["schedules", "Schedules", "viewer", "schedules"]]],
  ["Ask", [["search", "Search", "viewer", "findings"], ["diff", "Diff", "viewer", "scans"],
    ["probes", "Who probed", "operator", "probes"]]],
  ["Govern", [["scopes", "Scopes", "viewer", "scopes"], ["exclusions", "Exclusions", "viewer", "exclusions"],
    ["lists", "Lists", "viewer", "lists"],
    ["canaries", "Canaries", "viewer", "canaries"], ["tokens", "Tokens", "admin", "tokens"],
    ["audit", "Audit", "admin", "audit"]]],
];

const brand = () => h("a", { class: "brand", href: "#/fleet", "aria-label": "Cloud-X, to the fleet" },
  h("svg", { viewBox: "0 0 32 32", width: "28", height: "28", "aria-hidden": "true" },
    h("rect", { width: "32", height: "32", rx: "8" }), h("path", { d: "M9 9l14 14M23 9L9 23" }),
    h("circle", { cx: "16", cy: "16", r: "3.4" })),
  h("span", {}, "Cloud", h("b", {}, "X")));

function navigation() {
  return h("nav", { "aria-label": "Main", class: "rail-nav" }, GROUPS.map(([title, entries]) => {
    const open = entries.filter(([, , role, feature]) => may(role) && has(feature));
    return open.length ? h("section", {}, h("h2", {}, title), h("ul", {}, open.map(([address, words]) =>
      h("li", {}, h("a", { href: `#/${address}`, "data-view": address }, words))))) : null;
  }));
}

function themeButton() {
  const words = () => `Theme: ${theme()}`;
  const made = h("button", { type: "button", class: "quiet", onclick: () => { turnTheme(); text(made, words()); } }, words());
  return made;
}

function account(onSignedOut) {
  const { principal, role, auth, version } = session();
  return h("div", { class: "account" },
    h("p", {}, h("strong", {}, auth === "open" ? "Open access" : principal), h("span", {}, `${role} · version ${version}`)),
    h("div", { class: "row" }, themeButton(),
      auth === "open" ? null : h("button", { type: "button", class: "quiet", onclick: async () => {
        await signOut();
        onSignedOut();
      } }, "Sign out")));
}

/** Build the frame into the body; returns the `main` that views fill. */
export function buildShell(onSignedOut) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const state = h("p", { class: "connection", role: "status", hidden: true });
  const menu = h("div", { class: "rail-menu", id: "menu" }, navigation(), account(onSignedOut));
  const toggle = h("button", { type: "button", class: "menu-toggle", "aria-expanded": "false", "aria-controls": "menu",
    onclick: () => setMenu(toggle, menu, toggle.getAttribute("aria-expanded") !== "true") }, "Menu");
  connection.addEventListener("state", ({ detail }) => {
    text(state, detail);
    state.hidden = !detail;
  });
  fill(document.body,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, "Skip to content"),
    h("div", { class: "frame" },
      h("header", { class: "rail" }, h("div", { class: "rail-top" }, brand(), toggle), menu),
      h("div", { class: "stage" }, state, main)),
    h("div", { id: "announcer", class: "visually-hidden", "aria-live": "polite" }));
  return main;
}

function setMenu(toggle, menu, isOpen) {
  set(toggle, { "aria-expanded": String(isOpen) });
  menu.classList.toggle("is-open", isOpen);
}

/** Show in the navigation where the reader is. */
export function markPlace(address) {
  for (const entry of document.querySelectorAll("[data-view]")) {
    set(entry, { "aria-current": entry.dataset.view === address ? "page" : null });
  }
  const toggle = document.querySelector(".menu-toggle");
  if (toggle) setMenu(toggle, document.getElementById("menu"), false);
}
