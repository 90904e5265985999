// Elements from calls. Text goes in as text nodes alone: nothing here reads markup, so no name or banner becomes any.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "polyline", "rect", "line", "circle", "g", "text"]);
const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

/** An element: `on…` are listeners, `style` an object of CSS properties, null and false leave an attribute out. */
export function h(tag, props = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  set(node, props);
  append(node, children);
  return node;
}

/** Change attributes of an element, as h() sets them. */
export function set(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part);
    else if (AS_PROPERTY.has(name)) node[name] = value ?? (name === "value" ? "" : false);
    else if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

// What turns the direction of text around it: a name of a target could make the line before it read as another.
const TURNS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text, with what would turn its direction written out. */
export const plain = (words) => String(words).replace(TURNS, (one) => `⟨U+${one.codePointAt(0).toString(16).toUpperCase()}⟩`);

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child instanceof Node ? child : plain(child));
  }
}

/** Put these children in the place of all there are. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** Change a text only where it differs, so that nothing is laid out or read aloud for nothing. */
export function text(node, value) {
  const wanted = plain(value ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Say something to screen readers without moving the focus. */
export function announce(words) {
  text(document.getElementById("announcer"), words);
}

/** Do something for each item in slices of a few milliseconds, so that the page stays alive. Resolves when done. */
export async function inSlices(items, each, isOver = () => false, sliceMilliseconds = 8) {
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    if (performance.now() - began > sliceMilliseconds) {
      await new Promise((done) => setTimeout(done));
      if (isOver()) return false;
      began = performance.now();
    }
    each(item, index);
  }
  return true;
}
