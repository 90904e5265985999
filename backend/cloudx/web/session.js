// Who is signed in, and what they may do.

import { ask, post } from "./api.js";

const RANK = { viewer: 1, operator: 2, admin: 3 };
let current = null;

export const session = () => current;

/** Ask the API who this is. Throws ApiError. */
export async function readSession() {
  current = (await ask("GET", "/api/session")).data;
  return current;
}

export async function signIn(token) {
  current = await post("/api/session", { token });
  return current;
}

export async function signOut() {
  current = (await ask("DELETE", "/api/session")).data;
  return current;
}

export const may = (role) => (RANK[current?.role] ?? 0) >= RANK[role];
export const has = (feature) => current?.features.includes(feature) ?? false;
