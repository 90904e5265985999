// Starts the page: asks who is signed in, then shows the view that the address names.

import { ApiError, signedOut } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { startEvents, stopEvents } from "./live.js";
import { button, heading, notice } from "./parts.js";
import { has, readSession, session } from "./session.js";
import { buildShell, markPlace } from "./shell.js";
import { applyTheme } from "./theme.js";

// [pattern, the module that shows it, its place in the navigation]
const ROUTES = [
  [/^fleet$/, () => import("./views/fleet.js"), "fleet"],
  [/^scans$/, () => import("./views/scans.js"), "scans"],
  [/^scans\/new$/, () => import("./views/submit.js"), "scans"],
  [/^scans\/([^/]+)$/, () => import("./views/scan.js"), "scans"],
  [/^schedules$/, () => import("./views/schedules.js"), "schedules"],
  [/^search$/, () => import("./views/search.js"), "search"],
  [/^diff$/, () => import("./views/diff.js"), "diff"],
  [/^probes$/, () => import("./views/probes.js"), "probes"],
  [/^(scopes|exclusions|lists|canaries)$/, () => import("./views/policy.js"), null],
  [/^tokens$/, () => import("./views/tokens.js"), "tokens"],
  [/^audit$/, () => import("./views/audit.js"), "audit"],
];

let main = null;
let endView = () => {};
let turn = 0;

/** The view's name, what its pattern matched, and its parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path || "fleet", query: new URLSearchParams(query) };
}

async function showView() {
  const { path, query } = place();
  const route = ROUTES.find(([pattern]) => pattern.test(path));
  const mine = (turn += 1);
  endView();
  endView = () => {};
  if (!route) return showMissing();
  const matched = route[0].exec(path).slice(1).map(decodeURIComponent);
  markPlace(route[2] ?? matched[0]);
  try {
    const view = await route[1]();
    if (mine !== turn) return undefined;
    main.replaceChildren();
    endView = view.show(main, { matched, query }) ?? (() => {});
    settle();
  } catch (error) {
    if (error instanceof TypeError && mine === turn) showUnloaded();
    throw error;
  }
  return undefined;
}

/** Name the view in the title and to screen readers, and put the focus at its beginning. */
function settle() {
  const title = main.querySelector("h1");
  document.title = `${title?.textContent ?? "Cloud-X"} · Cloud-X`;
  announce(title?.textContent ?? "");
  title?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function showMissing() {
  fill(main, heading("There is no such view"), h("p", {}, h("a", { href: "#/fleet" }, "Go to the fleet.")));
  settle();
}

function showUnloaded() {
  fill(main, heading("This view did not load"),
    notice("A part of the page did not arrive. A new version may be out, or the API is away."),
    button("Load the page again", () => location.reload(), { kind: "primary" }));
  settle();
}

async function showSignIn(words = "") {
  endView();
  endView = () => {};
  turn += 1;
  stopEvents();
  const { show } = await import("./views/signin.js");
  show(document.body, { words, onSignedIn: enter });
}

function enter() {
  main = buildShell(() => showSignIn());
  startEvents(has("events"));
  showView();
}

async function start() {
  applyTheme();
  try {
    await readSession();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(document.body, h("main", { class: "alone" }, h("h1", {}, "Cloud-X"), notice(error.message),
      button("Try again", start, { kind: "primary" })));
    return;
  }
  if (session().signed_in) enter();
  else showSignIn();
}

window.addEventListener("hashchange", () => { if (session()?.signed_in && location.hash !== "#main") showView(); });
signedOut.addEventListener("out", () => {
  if (!session()?.signed_in) return;
  session().signed_in = false;
  showSignIn("The session is over, or the token was revoked. Sign in again.");
});
start();
