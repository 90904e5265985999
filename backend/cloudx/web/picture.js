// Ports by hosts: a row for each port, the hosts in address order from left to right, a column for as many as fit.
// How strong a cell is says on what share of its hosts the port is open.

import { announce, fill, h, set, text } from "./dom.js";
import { count, plural } from "./format.js";

const MAX_PORTS = 20;
const ROW = 24; // pixels, as in views.css: large enough for a finger
const LEAST_COLUMN = 3;
const WIDTH = 960;

/** Addresses in their order, IPv4 before IPv6. */
export function addressKey(ip) {
  if (!ip.includes(":")) return ip.split(".").map((part) => part.padStart(3, "0")).join(".");
  const [left, right = ""] = ip.split("::");
  const head = left ? left.split(":") : [], tail = right ? right.split(":") : [];
  const groups = ip.includes("::") ? [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail] : head;
  return `~${groups.map((group) => group.padStart(4, "0")).join(":")}`;
}

/** A picture; `.draw(rows)` draws open findings, `choose(cell)` hears what the reader picks. */
export function picture(choose) {
  const canvas = h("canvas", { role: "img", "aria-label": "Nothing found yet" });
  const labels = h("ul", { class: "picture-ports", "aria-label": "Ports by how many hosts have them open" });
  const readout = h("p", { class: "hint picture-readout", "aria-hidden": "true" });
  const box = h("figure", { class: "picture", hidden: true }, h("div", { class: "picture-grid" }, labels, h("div", { class: "picture-canvas" }, canvas)), readout);
  const state = { columns: [], ports: [] };
  canvas.addEventListener("pointermove", (event) => text(readout, words(state, cellAt(state, canvas, event))));
  canvas.addEventListener("pointerleave", () => text(readout, rest(state)));
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(state, canvas, event);
    if (cell) choose(chosen(state, cell));
  });
  box.draw = (rows) => {
    Object.assign(state, tally(rows));
    box.hidden = state.hosts < 2;
    if (box.hidden) return;
    paint(canvas, state);
    set(canvas, { "aria-label": `Open ports by hosts: ${plural(state.hosts, "host")}, ${plural(state.allPorts, "port")}. The list beside it has the numbers.` });
    fill(labels, state.ports.map((port) => h("li", {}, h("button", { type: "button", class: "port-label", onclick: () => {
      choose({ has: () => true, port: port.port, protocol: port.protocol, words: portWords(port) });
      announce(`Only ${portWords(port)}`);
    } }, h("span", {}, portWords(port)), h("span", { class: "count" }, count(port.hosts))))));
    text(readout, rest(state));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!box.hidden) paint(canvas, state); });
  return box;
}

const portWords = (port) => (port.protocol === "icmp" ? "icmp" : `${port.port}/${port.protocol}`);

/** Hosts in columns, the most usual ports in rows, and how many hosts of each column have each. */
function tally(rows) {
  const keys = new Map();
  const ports = new Map();
  for (const row of rows) {
    if (!keys.has(row.ip)) keys.set(row.ip, addressKey(row.ip));
    const key = `${row.port}/${row.protocol}`;
    const known = ports.get(key) ?? { port: row.port, protocol: row.protocol, hosts: 0 };
    known.hosts += 1;
    ports.set(key, known);
  }
  const hosts = [...keys.keys()].sort((a, b) => (keys.get(a) < keys.get(b) ? -1 : 1));
  const shown = [...ports.values()].sort((a, b) => b.hosts - a.hosts).slice(0, MAX_PORTS).sort((a, b) => a.port - b.port);
  const each = Math.max(1, Math.ceil(hosts.length / Math.floor(WIDTH / LEAST_COLUMN)));
  const columns = [];
  const columnOf = new Map();
  hosts.forEach((ip, index) => {
    const place = Math.floor(index / each);
    columns[place] ??= { first: ip, last: ip, hosts: 0 };
    columns[place].last = ip;
    columns[place].hosts += 1;
    columnOf.set(ip, place);
  });
  const place = new Map(shown.map((port, index) => [`${port.port}/${port.protocol}`, index]));
  const cells = shown.map(() => new Uint32Array(columns.length));
  for (const row of rows) {
    const index = place.get(`${row.port}/${row.protocol}`);
    if (index !== undefined) cells[index][columnOf.get(row.ip)] += 1;
  }
  return { columns, columnOf, ports: shown, cells, hosts: hosts.length, allPorts: ports.size };
}

function paint(canvas, { columns, ports, cells }) {
  const scale = window.devicePixelRatio || 1;
  const height = ports.length * ROW;
  canvas.width = WIDTH * scale;
  canvas.height = height * scale;
  canvas.style.setProperty("aspect-ratio", "auto");
  canvas.style.setProperty("block-size", `${height}px`);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const colour = style.getPropertyValue("--accent").trim(), line = style.getPropertyValue("--line").trim();
  const width = WIDTH / columns.length;
  ports.forEach((port, row) => {
    pen.globalAlpha = 0.5;
    pen.fillStyle = line;
    pen.fillRect(0, row * ROW + ROW - 1, WIDTH, 1);
    pen.fillStyle = colour;
    columns.forEach((column, place) => {
      const share = cells[row][place] / column.hosts;
      if (!share) return;
      pen.globalAlpha = 0.25 + 0.75 * share;
      pen.fillRect(place * width, row * ROW + 4, Math.max(1, width - (width > 4 ? 1 : 0)), ROW - 8);
    });
  });
}

function cellAt({ columns, ports }, canvas, event) {
  const bounds = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - bounds.left) / bounds.width) * columns.length);
  const row = Math.floor(((event.clientY - bounds.top) / bounds.height) * ports.length);
  return columns[column] && ports[row] ? { column, row } : null;
}

function words({ columns, ports, cells }, cell) {
  if (!cell) return "";
  const { first, last, hosts } = columns[cell.column];
  return `${first === last ? first : `${first} – ${last}`} · ${portWords(ports[cell.row])} open on ${count(cells[cell.row][cell.column])} of ${plural(hosts, "host")}`;
}

function rest({ hosts, ports, allPorts, columns }) {
  const each = columns[0].hosts;
  const more = allPorts > ports.length ? `, the ${ports.length} most usual of ${count(allPorts)} ports` : "";
  return `${plural(hosts, "host")} from left to right, ${each === 1 ? "one" : `up to ${count(each)}`} a column${more}. Pick a cell or a port to see only that.`;
}

function chosen({ columns, columnOf, ports }, { column, row }) {
  const { first, last } = columns[column];
  return { has: (ip) => columnOf.get(ip) === column, port: ports[row].port, protocol: ports[row].protocol,
    words: `${portWords(ports[row])} at ${first === last ? first : `${first} – ${last}`}` };
}
