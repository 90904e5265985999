// What keeps a view up to date: polls, and events of the server that say when a poll is worth while.

import { ApiError } from "./api.js";

const SLOWEST_MILLISECONDS = 15_000;
const WITH_EVENTS_FACTOR = 5; // events tell of changes, so polls only catch what an event cannot tell
const TYPES = ["scan", "chunk", "node"];

export const connection = new EventTarget(); // "state" events: ok, or the words of what is wrong
const nudges = new EventTarget();
let source = null;
let isOpen = false;
let isWanted = false;

/** Listen to the server's events, where it has them, while somebody looks. */
export function startEvents(hasEvents) {
  stopEvents();
  isWanted = hasEvents;
  listen();
}

// A browser has six connections for a host, and each stream keeps one: hidden tabs would take all from the one in view.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : listen()));

function listen() {
  if (!isWanted || source || document.hidden) return;
  source = new EventSource("/api/events?types=scan,chunk,node");
  source.addEventListener("open", () => {
    isOpen = true;
    for (const type of TYPES) nudges.dispatchEvent(new Event(type)); // what happened before it was open
  });
  source.addEventListener("error", () => {
    isOpen = false;
    if (source?.readyState === EventSource.CLOSED) stopEvents(); // refused: polls do it all
  });
  for (const type of TYPES) {
    source.addEventListener(type, () => nudges.dispatchEvent(new Event(type)));
  }
}

/** Hear no more events. */
export function stopEvents() {
  isWanted = false;
  close();
}

function close() {
  source?.close();
  source = null;
  isOpen = false;
}

const tell = (words) => connection.dispatchEvent(new CustomEvent("state", { detail: words }));

/**
 * Load and show again and again; `load(signal)` may return undefined for "nothing new". Returns what ends it, with
 * `.now()` to load at once. A hidden tab asks for nothing; failures slow it down and are told in the header.
 */
export function keepFresh(load, show, { everyMilliseconds = 2000, types = [] } = {}) {
  const aborting = new AbortController();
  let timer = null, isLoading = false, isWanted = false, failures = 0, lastAt = 0;

  async function round() {
    clearTimeout(timer);
    if (aborting.signal.aborted) return;
    if (isLoading) { isWanted = true; return; }
    isLoading = true;
    isWanted = false;
    lastAt = performance.now();
    try {
      const loaded = await load(aborting.signal);
      if (aborting.signal.aborted) return;
      failures = 0;
      tell("");
      if (loaded !== undefined) await show(loaded);
    } catch (error) {
      if (aborting.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      failures += 1;
      tell(error.message);
      if (error.status === 404) show(null, error);
    } finally {
      isLoading = false;
      plan();
    }
  }

  function plan() {
    if (aborting.signal.aborted || document.hidden) return;
    const usual = everyMilliseconds * (isOpen && types.length ? WITH_EVENTS_FACTOR : 1);
    const pause = failures ? Math.min(SLOWEST_MILLISECONDS, everyMilliseconds * 2 ** failures) : usual;
    timer = setTimeout(round, isWanted ? 250 : pause);
  }

  const nudge = () => {
    const since = performance.now() - lastAt;
    clearTimeout(timer);
    timer = setTimeout(round, Math.max(0, 400 - since)); // many events at once are one load
  };
  const seen = () => { if (!document.hidden) round(); };
  for (const type of types) nudges.addEventListener(type, nudge, { signal: aborting.signal });
  document.addEventListener("visibilitychange", seen, { signal: aborting.signal });
  round();
  const end = () => { clearTimeout(timer); aborting.abort(); };
  end.now = round;
  return end;
}
