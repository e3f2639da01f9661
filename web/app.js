// SPDX-License-Identifier: GPL-2.0-or-later
// The one page: benches, queue, results, a trace with its windows. Talks only to the HTTP API; lists are read again when
// the event stream says that something changed, live power and progress come with the stream.
"use strict";

const api = "/api/v1";
const $ = (id) => document.getElementById(id);
const live = new Map(); // bench -> {power_w, at}
const progress = new Map(); // job -> {fraction, text}
let chosen = null; // id of the result that is shown
let view = null; // what the plot shows

async function get(path) {
  const r = await fetch(api + path, { headers: { Accept: "application/json" } });
  const doc = await r.json();
  if (!r.ok) throw new Error(doc.detail || doc.title || `status ${r.status}`);
  return doc;
}

function si(v, unit) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const steps = [[1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];
  const [scale, prefix] = v === 0 ? [1, ""] : steps.find(([s]) => Math.abs(v) >= s * 0.99995) || steps.at(-1);
  return `${(v / scale).toPrecision(4)} ${prefix}${unit}`;
}

function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (k === "class") e.className = v;
    else if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const tone = (word) =>
  ({ valid: "ok", idle: "ok", good: "ok", done: "ok", suspect: "warn", recovering: "warn", maintenance: "warn", leased: "busy", active: "busy", queued: "",
     canceled: "warn" })[word] ?? "bad";

// ---- lists --------------------------------------------------------------------------------------------------------

function benchCard(b) {
  const p = live.get(b.name);
  const fresh = p && Date.now() - p.at < 3000;
  const job = b.job;
  const pr = job && progress.get(job);
  return el("div", { class: "card" },
    el("h3", {}, b.name, el("span", { class: `state ${tone(b.state)}` }, b.state)),
    el("p", {}, `${b.board?.type ?? "?"}${b.virtual ? ", virtual" : ""} · ${b.analyzer?.driver ?? "?"}`),
    b.health && b.health !== "good" ? el("p", { class: tone(b.health) }, `health: ${b.health}${b.reason ? ", " + b.reason : ""}`) : null,
    el("p", { class: "power" }, fresh ? si(p.power_w, "W") : job ? (b.streaming === false ? "captured after the run" : "no reading now") : "no job"),
    pr ? el("progress", { max: "1", ...(Number.isFinite(pr.fraction) ? { value: String(pr.fraction) } : {}) }) : null,
    pr?.text ? el("p", {}, pr.text) : null);
}

async function readBenches() {
  const { items } = await get("/benches");
  $("benches").replaceChildren(...(items.length ? items.map(benchCard) : [el("p", { class: "empty" }, "none configured")]));
}

async function cancel(id) {
  await fetch(`${api}/jobs/${id}/cancel`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  refresh();
}

function jobRow(j) {
  const open = j.state === "queued" || j.state === "active";
  const what = j.state === "active" ? j.stage : j.cause ? `${j.cause.class}: ${j.cause.text}` : j.state === "queued" && j.position ? `position ${j.position}` : "";
  return el("tr", {}, el("td", {}, el("code", {}, j.id.slice(-12))), el("td", { class: tone(j.state) }, j.state), el("td", {}, j.on_bench || j.bench || j.board_type || ""),
    el("td", {}, j.method), el("td", { class: "wrap" }, what || ""), el("td", {}, open ? el("button", { onclick: () => cancel(j.id) }, "cancel") : null));
}

async function readJobs() {
  const { items } = await get("/jobs?limit=50");
  const open = items.filter((j) => j.state === "queued" || j.state === "active");
  const failed = items.filter((j) => j.state === "failed" || j.state === "canceled").slice(0, 5);
  const rows = [...open.reverse(), ...failed].map(jobRow);
  $("jobs").tBodies[0].replaceChildren(...rows);
  $("jobs").hidden = rows.length === 0;
  $("jobs-empty").hidden = rows.length > 0;
}

function resultRow(r) {
  const e = r.energy_per_inference_j, net = r.net_energy_per_inference_j;
  const pm = (x) => (x ? `${si(x.median, "J")}${x.u95 ? " ± " + si(x.u95, "J") : ""}` : "–");
  const codes = (r.reasons || []).map((x) => x.code).join(", ");
  const choose = () => choose_result(r.id);
  return el("tr", { tabindex: "0", class: r.id === chosen ? "chosen" : "", onclick: choose, onkeydown: (ev) => { if (ev.key === "Enter") choose(); } },
    el("td", {}, r.board?.model_id ?? "–"), el("td", {}, r.bench ?? "–"), el("td", { class: "n" }, pm(e)), el("td", { class: "n" }, pm(net)),
    el("td", { class: "n" }, si(r.latency_per_inference_s?.median, "s")), el("td", { class: "n" }, si(r.power_w?.mean, "W")),
    el("td", { class: tone(r.verdict) }, r.verdict + (codes ? ` (${codes})` : "")), el("td", {}, (r.created_at ?? "").replace("T", " ").slice(0, 19)));
}

async function readResults() {
  const { items } = await get("/results?limit=100");
  $("results").tBodies[0].replaceChildren(...items.map(resultRow));
  $("results").hidden = items.length === 0;
  $("results-empty").hidden = items.length > 0;
  if (!chosen && items.length && items[0].trace) choose_result(items[0].id);
}

let pending = false, again = false;
async function refresh() {
  if (pending) { again = true; return; }
  pending = true;
  try {
    await Promise.all([readBenches(), readJobs(), readResults()]);
  } catch (e) {
    status(false, e.message);
  } finally {
    pending = false;
    if (again) { again = false; setTimeout(refresh, 200); }
  }
}

// ---- one trace ----------------------------------------------------------------------------------------------------

async function choose_result(id) {
  chosen = id;
  const r = await get(`/results/${id}`);
  const windows = (await get(`/results/${id}/windows`)).items;
  for (const tr of $("results").tBodies[0].rows) tr.classList.remove("chosen");
  $("trace").hidden = false;
  $("trace-title").textContent = `${r.board?.model_id ?? "result"} on ${r.bench}: current, with its ${windows.length} windows shaded. Drag to zoom, double click to see all.`;
  $("detail").replaceChildren(stageTable(r), budgetTable(r), windowTable(windows));
  view = { result: r, windows, trace: r.trace, from: null, to: null, data: null };
  await loadView();
  readResults();
}

async function loadView() {
  const v = view;
  if (!v?.trace) { $("trace-stats").textContent = "This result has no stored trace."; return; }
  const span = v.from === null ? "" : `&from_s=${v.from}&to_s=${v.to}`;
  v.data = await get(`/traces/${v.trace}/view?points=${Math.max(200, Math.min(1600, $("plot").clientWidth | 0))}${span}`);
  draw();
  const s = await get(`/traces/${v.trace}/stats?${span.slice(1)}`);
  $("trace-stats").textContent = `this span: ${si(s.energy_j, "J")}, ${si(s.charge_c, "C")}, mean ${si(s.current_mean_a, "A")} over ${si(s.recorded_s, "s")}`;
}

function draw() {
  const c = $("plot"), d = view?.data;
  if (!d) return;
  const ratio = window.devicePixelRatio || 1, w = c.clientWidth, h = 300;
  c.width = w * ratio; c.height = h * ratio;
  const g = c.getContext("2d");
  const css = getComputedStyle(document.documentElement), color = (n) => css.getPropertyValue(n).trim();
  g.scale(ratio, ratio);
  const left = 66, right = 10, top = 12, bottom = 26, pw = w - left - right, ph = h - top - bottom;
  const from = d.from_s, to = d.to_s, n = d.current_a.min.length;
  const peak = Math.max(1e-12, ...d.current_a.max.filter((v) => v !== null));
  const x = (t) => left + (pw * (t - from)) / (to - from), y = (i) => top + ph * (1 - Math.max(0, i) / (peak * 1.05));
  g.font = "12px system-ui"; g.fillStyle = color("--mark"); g.globalAlpha = 0.13;
  for (const win of view.windows) {
    const a = Math.max(left, x(win.from_s)), b = Math.min(left + pw, x(win.to_s));
    if (b > a) g.fillRect(a, top, b - a, ph);
  }
  g.globalAlpha = 1; g.strokeStyle = color("--line"); g.fillStyle = color("--dim"); g.lineWidth = 1;
  for (let k = 0; k <= 4; k++) {
    const v = (peak * 1.05 * k) / 4;
    g.beginPath(); g.moveTo(left, y(v)); g.lineTo(left + pw, y(v)); g.stroke();
    g.textAlign = "right"; g.fillText(si(v, "A"), left - 6, y(v) + 4);
    const t = from + ((to - from) * k) / 4;
    g.textAlign = k === 0 ? "left" : k === 4 ? "right" : "center"; g.fillText(`${t.toFixed(to - from < 0.1 ? 5 : 3)} s`, x(t), h - 8);
  }
  g.fillStyle = color("--mark");
  for (let k = 0; k < n; k++) {
    if (d.current_a.min[k] === null) continue;
    const a = y(d.current_a.max[k]), b = y(d.current_a.min[k]);
    g.fillRect(left + (pw * k) / n, a, Math.max(1, pw / n), Math.max(1, b - a));
  }
  if (view.drag) {
    g.fillStyle = color("--warn"); g.globalAlpha = 0.25;
    g.fillRect(Math.min(...view.drag), top, Math.abs(view.drag[1] - view.drag[0]), ph); g.globalAlpha = 1;
  }
}

function plotTime(px) {
  const left = 66, pw = $("plot").clientWidth - left - 10;
  return view.data.from_s + ((view.data.to_s - view.data.from_s) * Math.min(1, Math.max(0, (px - left) / pw)));
}
$("plot").addEventListener("pointerdown", (e) => { if (view?.data) { view.drag = [e.offsetX, e.offsetX]; $("plot").setPointerCapture(e.pointerId); } });
$("plot").addEventListener("pointermove", (e) => { if (view?.drag) { view.drag[1] = e.offsetX; draw(); } });
$("plot").addEventListener("pointerup", () => {
  if (!view?.drag) return;
  const [a, b] = view.drag.map(plotTime).sort((p, q) => p - q);
  const wide = Math.abs(view.drag[1] - view.drag[0]) > 4;
  view.drag = null;
  if (wide) { view.from = a; view.to = b; loadView(); } else draw();
});
$("plot").addEventListener("dblclick", () => { if (view) { view.from = view.to = null; loadView(); } });
addEventListener("resize", draw);

// ---- tables beside the trace --------------------------------------------------------------------------------------

function table(title, heads, rows) {
  if (!rows.length) return el("div", {});
  return el("div", { class: "scroll" }, el("h3", {}, title), el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { class: h.startsWith(">") ? "n" : "" }, h.replace(">", ""))))),
    el("tbody", {}, ...rows.map((r) => el("tr", {}, ...r.map((c, i) => el("td", { class: heads[i].startsWith(">") ? "n" : "" }, c)))))));
}
const stageTable = (r) => table("Stages", ["stage", ">duration", ">energy", ">net", ">share"],
  (r.stages || []).map((s) => [s.name, si(s.duration_s, "s"), si(s.energy_j, "J"), si(s.net_energy_j, "J"), s.share === null ? "–" : `${(100 * s.share).toFixed(1)} %`]));
const budgetTable = (r) => table("Uncertainty budget (gross)", ["component", "distribution", ">u"],
  (r.energy_per_inference_j?.budget || []).map((b) => [b.component, b.distribution, si(b.u, "J")]));
const windowTable = (ws) => table("Windows", [">#", ">inferences", ">duration", ">energy", ">net", "usable"],
  ws.map((w) => [String(w.index), String(w.inferences), si(w.duration_s, "s"), si(w.energy_j, "J"), si(w.net_energy_j, "J"), w.usable ? "yes" : (w.reasons || []).map((x) => x.code ?? x).join(", ")]));

// ---- live ---------------------------------------------------------------------------------------------------------

function status(on, text) {
  $("link").className = `pill ${on ? "on" : "off"}`;
  $("link").textContent = text;
}
function listen() {
  const es = new EventSource(`${api}/events`);
  const changed = () => refresh();
  es.onopen = () => { status(true, "live"); refresh(); };
  es.onerror = () => status(false, "no connection, trying again");
  es.onmessage = changed;
  es.addEventListener("event", changed);
  es.addEventListener("live", (e) => { const d = JSON.parse(e.data); if (d.bench) { live.set(d.bench, { power_w: d.power_w, at: Date.now() }); soon(); } });
  es.addEventListener("progress", (e) => { const d = JSON.parse(e.data); if (d.job) { progress.set(d.job, d); soon(); } });
}
let timer = null;
const soon = () => { timer ??= setTimeout(() => { timer = null; readBenches().catch(() => {}); }, 500); };

refresh();
listen();
