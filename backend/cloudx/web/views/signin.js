// The door: a token once, and a cookie that no script reads from then on.

import { ApiError } from "../api.js";
import { fill, h } from "../dom.js";
import { field, input, notice } from "../parts.js";
import { session, signIn } from "../session.js";

export function show(body, { words, onSignedIn }) {
  const hasClerk = session()?.clerk;
  const token = input({ type: "password", name: "token", required: true, autocomplete: "current-password" });
  const box = field("Token", token, {
    hint: hasClerk ? "An API token (cx_…), or a Clerk session's token." : "An API token; it begins with cx_.",
  });
  const said = h("div", {});
  const go = h("button", { type: "submit", class: "button primary" }, "Sign in");

  async function submit(event) {
    event.preventDefault();
    box.say("");
    go.disabled = true;
    try {
      await signIn(token.value.trim());
      token.value = "";
      onSignedIn();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      box.say(error.status === 401 ? "This token is not known here, or it has expired. See below where to find one." : error.message);
      token.focus();
    } finally {
      go.disabled = false;
    }
  }

  fill(body, h("main", { class: "door", id: "main" },
    h("div", { class: "door-card" },
      h("p", { class: "door-mark", "aria-hidden": "true" }, "Cloud", h("b", {}, "X")),
      h("h1", { tabindex: "-1" }, "Sign in"),
      h("p", { class: "lead" }, "Scans from your own fleet, with every probe accounted for."),
      said,
      h("form", { onsubmit: submit, novalidate: true }, box, go),
      h("section", { class: "door-help" },
        h("h2", {}, "Where is my token?"),
        h("ul", {},
          h("li", {}, h("code", {}, "make run"), " printed the admin token at its first start, and says in which file it is kept."),
          h("li", {}, "An admin makes more: ", h("code", {}, "cloudx tokens add NAME --role viewer"), "."),
          hasClerk ? h("li", {}, "Signed in with Clerk elsewhere? Its session token (", h("code", {}, "await Clerk.session.getToken()"),
            ") opens this page until it expires, and a page of this address may POST it to ", h("code", {}, "/api/session"), ".") : null)))));
  document.title = "Sign in · Cloud-X";
  if (words) fill(said, notice(words, "note"));
  token.focus();
}
