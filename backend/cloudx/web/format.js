// Numbers, times and durations as people read them.

const number = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const count = (value) => (value === null || value === undefined ? "–" : number.format(value));
export const short = (value) => (value === null || value === undefined ? "–" : compact.format(value));
export const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} %`);
export const plural = (amount, word, many = `${word}s`) => `${count(amount)} ${amount === 1 ? word : many}`;

/** 95 → "1 min 35 s": the two largest parts. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return "0 s";
  return parts.slice(first, first + 2).filter(([amount]) => amount > 0).map((one) => one.join(" ")).join(" ");
}

/** How long ago a moment was. */
export function ago(iso) {
  if (!iso) return "never";
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

/** A moment in full, in the reader's own zone. */
export const moment = (iso) => (iso ? dateTime.format(new Date(iso)) : "–");

/** A long text cut for a heading; the whole stays in a title. */
export const cut = (words, length = 80) => (words.length > length ? `${words.slice(0, length - 1)}…` : words);
