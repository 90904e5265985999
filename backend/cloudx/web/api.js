// Calls of the API. The browser adds the cookie; the token itself is never seen here after the sign-in.

/** An error as a sentence with its remedy; `field` is the input that it is about, if one is. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "unreachable", details = {} } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.field = details.field ?? null;
  }
}

export const signedOut = new EventTarget();
const UNREACHABLE = "The API does not answer. See whether it runs and the network is up; this page tries again.";

async function send(method, path, { body, signal, headers = {} } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  try {
    return await fetch(path, {
      method, signal, credentials: "same-origin", cache: "no-cache", ...sent, headers: { ...sent.headers, ...headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE);
  }
}

async function refusal(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    told = {};
  }
  const message = told.error ?? `The API answered ${response.status}. Try again; if it stays, look at its log.`;
  const error = new ApiError(message, { status: response.status, code: told.code, details: told.details });
  if (response.status === 401) signedOut.dispatchEvent(new CustomEvent("out", { detail: error }));
  return error;
}

/** The answer of a call, with its body parsed. Throws ApiError. */
export async function ask(method, path, options = {}) {
  const response = await send(method, path, options);
  if (!response.ok) throw await refusal(response);
  const links = response.headers.get("Link") ?? "";
  return {
    data: response.status === 204 ? null : await response.json(),
    etag: response.headers.get("ETag"),
    total: Number(response.headers.get("X-Total-Count") ?? 0),
    next: /<([^>]+)>;\s*rel="next"/.exec(links)?.[1] ?? null,
  };
}

export const get = async (path, options) => (await ask("GET", path, options)).data;
export const post = async (path, body, options) => (await ask("POST", path, { ...options, body: body ?? {} })).data;
export const patch = async (path, body) => (await ask("PATCH", path, { body })).data;
export const remove = async (path) => (await ask("DELETE", path)).data;

/** Objects of an ndjson stream, in batches as they arrive. Throws ApiError. */
export async function* lines(path, { signal } = {}) {
  const response = await send("GET", path, { signal });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : parts.pop();
    const batch = parts.filter(Boolean).map((line) => JSON.parse(line));
    if (batch.length) yield batch;
    if (done) return;
  }
}

/** A path with its parameters; those without a value are left out. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const written = query.toString();
  return written ? `${path}?${written}` : path;
}

/** An id as a part of a path. */
export const part = (id) => encodeURIComponent(id);
