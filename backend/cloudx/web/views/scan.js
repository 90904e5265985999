// One scan: how far it is, who works on it, what it covers, and what it found.

import { get, part, post, remove, withQuery } from "../api.js";
import { announce, fill, h, text } from "../dom.js";
import { ago, count, cut, duration, moment, percent, plural } from "../format.js";
import { keepFresh } from "../live.js";
import { attempt, badge, button, confirmed, heading, link, notice } from "../parts.js";
import { sparkline, stackedBar } from "../plot.js";
import { may } from "../session.js";
import { resultsPart } from "./results.js";

const FINAL = new Set(["completed", "failed", "stopped"]);
const RATES_KEPT = 120;
const PARTS = ["completed", "excluded", "failed", "remaining"];

export function show(main, { matched: [id] }) {
  const view = { id, rates: [], last: null, status: null };
  view.body = h("div", {});
  view.said = h("div", {});
  view.results = h("section", { class: "card found", "aria-labelledby": "found" });
  view.endResults = () => {};
  main.append(heading("Scan", {}), view.said, view.body, view.results);
  view.head = main.firstChild;
  build(view);
  const end = keepFresh((signal) => get(`/api/scans/${part(id)}`, { signal }), (scan, error) => draw(view, scan, error, end),
    { everyMilliseconds: 1000, types: ["scan", "chunk"] });
  view.now = end.now;
  return () => { end(); view.endResults(); };
}

function build(view) {
  view.status = h("span", {});
  view.share = h("span", { class: "big-share" }, "…");
  view.bar = stackedBar();
  view.legend = h("dl", { class: "legend" });
  view.stages = h("div", {});
  view.eta = h("p", { class: "hint" });
  view.words = h("div", {});
  view.rate = sparkline({ height: 60, most: 1, className: "spark tall" });
  view.rateNow = h("p", { class: "rate-now" });
  view.workers = h("div", {});
  view.facts = h("dl", { class: "facts" });
  fill(view.body,
    h("div", { class: "card progress-card" }, h("div", { class: "row spread" }, view.status, view.share), view.bar, view.legend, view.stages, view.eta, view.words),
    h("div", { class: "columns" },
      h("div", { class: "stacked" },
        h("section", { class: "card" }, h("h2", {}, "Rate"), view.rateNow, view.rate),
        h("section", { class: "card" }, h("h2", {}, "By node"), view.workers)),
      h("section", { class: "card" }, h("h2", {}, "As submitted"), view.facts)));
}

function draw(view, scan, error, end) {
  if (!scan) {
    fill(view.body, notice(error.message));
    view.results.remove();
    return end();
  }
  drawHead(view, scan);
  drawCoverage(view, scan);
  drawWords(view, scan);
  drawRate(view, scan);
  drawWorkers(view, scan);
  drawFacts(view, scan);
  const state = scan.paused ? "paused" : scan.status;
  if (view.shown !== state) {
    if (view.shown) announce(`The scan is ${state}.`);
    view.shown = state;
    drawActions(view, scan);
    view.endResults();
    view.endResults = resultsPart(view.results, scan);
  }
  if (FINAL.has(scan.status) && scan.chunks.leased === 0) end();
  return undefined;
}

function drawHead(view, scan) {
  const title = scan.name || cut(scan.target, 90);
  text(view.head.querySelector("h1"), title);
  document.title = `${title} · Cloud-X`;
  const state = scan.paused ? "paused" : scan.status;
  if (view.badge !== state) fill(view.status, badge(state));
  view.badge = state;
  text(view.share, `${scan.status === "completed" ? 100 : Math.floor(scan.progress)} %`);
}

function drawActions(view, scan) {
  const isOver = FINAL.has(scan.status);
  const again = async (doIt) => { await attempt(view.said, doIt); view.now(); };
  const actions = !may("operator") ? [] : [
    isOver ? null : scan.paused ? button("Resume", () => again(async () => (await post(`/api/scans/${part(scan.job_id)}/resume`)).message))
      : button("Pause", () => again(async () => (await post(`/api/scans/${part(scan.job_id)}/pause`)).message)),
    isOver ? null : button("Stop", () => again(async () => (await post(`/api/scans/${part(scan.job_id)}/stop`)).message), { kind: "danger" }),
    link("Repeat", `#/scans/new?from=${part(scan.job_id)}`, { kind: "button" }),
    isOver ? link("Compare", `#/diff?after=${part(scan.job_id)}`, { kind: "button" }) : null,
    isOver ? button("Delete", () => erase(view, scan)) : null];
  const box = view.head.querySelector(".actions") ?? view.head.appendChild(h("div", { class: "actions" }));
  fill(box, actions);
}

async function erase(view, scan) {
  if (!(await confirmed(`Delete this scan and all that it found?`, "Delete it"))) return;
  if (await attempt(view.said, () => remove(`/api/scans/${part(scan.job_id)}`))) location.hash = "#/scans";
}

function drawCoverage(view, scan) {
  const { coverage } = scan;
  const share = (value) => (coverage.planned ? value / coverage.planned : 0);
  const words = PARTS.map((name) => `${count(coverage[name])} ${name}`).join(", ");
  view.bar.draw(PARTS.slice(0, 3).map((name) => ({ className: `part-${name}`, share: share(coverage[name]) })), `Of ${count(coverage.planned)} ${coverage.unit}: ${words}`);
  const rows = [["planned", coverage.planned], ...PARTS.map((name) => [name, coverage[name]])];
  fill(view.legend, rows.map(([name, value]) => h("div", { class: `legend-${name}` }, h("dt", {}, name), h("dd", {}, count(value)))));
  fill(view.stages, (coverage.stages ?? []).map((stage, index) => h("p", { class: "hint" },
    `Stage ${index + 1}, ${stage.tool}: ${count(stage.completed)} of ${count(stage.planned)} ${stage.unit} completed${stage.failed ? `, ${count(stage.failed)} failed` : ""}.`)));
  const { tries, wait_seconds: wait } = coverage.assumes;
  const rests = `${coverage.unit}, each tried ${tries === 1 ? "once" : `up to ${tries} times`}; answers later than ${wait} s are not seen`;
  text(view.eta, scan.eta_seconds !== null ? `About ${duration(scan.eta_seconds)} left. ${rests}.` : `Counted in ${rests}.`);
}

function drawWords(view, scan) {
  const paused = scan.paused && `Paused by ${scan.paused_by} ${ago(scan.paused_at)}: nothing of it runs until it is resumed.`;
  const words = [scan.error && ["bad", scan.error], paused && ["note", paused], scan.waiting_reason && ["note", scan.waiting_reason], ...scan.warnings.map((one) => ["note", one])].filter(Boolean);
  const key = JSON.stringify(words);
  if (view.wordsKey === key) return;
  view.wordsKey = key;
  fill(view.words, words.map(([kind, one]) => notice(one, kind)));
}

/** The rate between two looks, by what the kernel counted, else by what was completed. */
function drawRate(view, scan) {
  const at = performance.now() / 1000;
  const inFlight = (scan.progress / 100) * scan.coverage.planned;
  const last = view.last;
  view.last = { at, done: inFlight, packets: scan.coverage.packets_sent };
  if (last && at > last.at && scan.status === "running") {
    view.rates.push(Math.max(0, inFlight - last.done) / (at - last.at));
    if (view.rates.length > RATES_KEPT) view.rates.shift();
  }
  const began = Date.parse(scan.started_at ?? scan.created_at);
  const seconds = ((scan.finished_at ? Date.parse(scan.finished_at) : Date.now()) - began) / 1000;
  const mean = seconds > 0 ? scan.coverage.completed / seconds : 0;
  const unit = scan.coverage.unit;
  const recent = view.rates.slice(-5);
  const now = recent.length ? recent.reduce((sum, one) => sum + one, 0) / recent.length : mean;
  const words = FINAL.has(scan.status) ? `${count(Math.round(mean * 10) / 10)} ${unit}/s on average`
    : `${count(Math.round(now * 10) / 10)} ${unit}/s now${scan.rate ? `; asked for ${count(scan.rate)} packets/s` : ""}`;
  text(view.rateNow, words);
  view.rate.hidden = view.rates.length < 2;
  view.rate.draw(view.rates, `Rate since this page was opened: ${words}`);
  view.rate.style.setProperty("display", view.rates.length < 2 ? "none" : "");
}

function drawWorkers(view, scan) {
  const most = Math.max(1, ...scan.workers.map((one) => one.chunks_done));
  const { pending, leased, done, failed } = scan.chunks;
  const key = JSON.stringify([scan.workers, scan.chunks]);
  if (view.workersKey === key) return;
  view.workersKey = key;
  fill(view.workers, h("p", { class: "hint" }, `${plural(done, "chunk")} done, ${count(leased)} running, ${count(pending)} waiting${failed ? `, ${count(failed)} failed` : ""}.`),
    h("ul", { class: "worker-list" }, scan.workers.map((one) => h("li", {},
      h("span", { class: "worker-name" }, one.node_id),
      h("span", { class: "meter", "aria-hidden": "true" }, h("span", { style: { "inline-size": `${(100 * one.chunks_done) / most}%` } })),
      h("span", { class: "hint" }, `${plural(one.chunks_done, "chunk")}${one.rate ? ` · ${count(one.rate)} packets/s granted` : ""}`)))));
}

function drawFacts(view, scan) {
  const rows = [["Target", cut(scan.target, 400)], ["Addresses", count(scan.target_count)], ["Tool", `${scan.tool} ${scan.scan_type}${scan.then ? `, then ${scan.then.tool} ${scan.then.scan_type}` : ""}`],
    ["Ports", scan.ports ?? "the tool's own"], ["Rate asked", scan.rate ? `${count(scan.rate)} packets/s` : "none"],
    ["By", scan.created_by], ["Submitted", moment(scan.created_at)], ["Started", moment(scan.started_at)], ["Ended", moment(scan.finished_at)],
    scan.coverage.packets_sent === null ? null : ["Packets sent", `${count(scan.coverage.packets_sent)} (${percent(scan.coverage.planned ? (100 * scan.coverage.packets_sent) / scan.coverage.planned : 0)} of planned)`],
    ["Proof", link("Coverage by chunk, node and attempt (JSON)", `/api/scans/${part(scan.job_id)}/coverage`, { download: `coverage-${scan.job_id}.json` })]].filter(Boolean);
  const key = JSON.stringify(rows.map(([, value]) => String(value)));
  if (view.factsKey === key) return;
  view.factsKey = key;
  fill(view.facts, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
