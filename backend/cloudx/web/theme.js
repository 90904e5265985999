// Light or dark: as the system has it, unless the reader chose. A choice of looks is all that the browser keeps.

const KEY = "cloudx-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system"; // storage is closed; the system's choice it is
  }
}

export const theme = () => (stored() in NEXT ? stored() : "system");

export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = chosen;
}

/** The next of system, light, dark. */
export function turnTheme() {
  try {
    localStorage.setItem(KEY, NEXT[theme()]);
  } catch {
    return theme();
  }
  applyTheme();
  return theme();
}
