// SPDX-License-Identifier: GPL-2.0-or-later
// The one page: benches, queue, results, a trace with its windows. Talks only to the HTTP API; lists are read again when
// the event stream says that something changed, live power and progress come with the stream and need no request.
import { el, shortId, si, sync, when, withU95 } from "./format.js";
import { Compare } from "./compare.js";
import { Plot } from "./plot.js";

const api = "/api/v1";
const $ = (id) => document.getElementById(id);
const PAGE = 50, FRESH_MS = 3000, POWER_POINTS = 120, OVER_SHOWN = 6;

const live = new Map(); // bench -> {power_w, at, job, list: newest powers}
const progress = new Map(); // job -> {fraction, text, stage}
const results = new Map(); // id -> result, as far as they were read
const cancelling = new Set(); // jobs whose cancel was asked here
let benches = [], jobs = [];
let older = null, atEnd = false; // cursor behind the oldest result read
let chosen = null, shown = null; // id of the result wanted; {result, windows, from, to} of the one on the plot
const compare = new Compare($("compare"), $("comparison"), request, (id) => nameOf(results.get(id)), () => drawResults());
let asked = 0; // number of the newest request for the trace: a late answer to an older one is dropped
const plot = new Plot($("plot"), (from, to) => { if (shown) { shown.from = from; shown.to = to; loadView(); } });

async function request(path, options) {
  const r = await fetch(api + path, { headers: { Accept: "application/json", ...options?.headers }, ...options });
  const doc = await r.json().catch(() => ({}));
  if (!r.ok) throw Object.assign(new Error([doc.detail || doc.title || `status ${r.status}`, doc.pointer].filter(Boolean).join(", at ")), { problem: doc });
  return doc;
}
const post = (path, body = {}) => request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const TONES = { valid: "ok", idle: "ok", good: "ok", done: "ok", suspect: "warn", recovering: "warn", maintenance: "warn", canceled: "dim", leased: "busy", active: "busy",
  queued: "", invalid: "bad", failed: "bad", offline: "bad", bad: "bad" };
const tone = (word) => TONES[word] ?? "bad";
const isOpen = (j) => j.state === "queued" || j.state === "active";

// ---- benches ------------------------------------------------------------------------------------------------------

// What the card says of power: the newest figure while it is fresh, else why there is none.
function powerText(b) {
  const p = live.get(b.name), job = b.job && jobs.find((j) => j.id === b.job);
  if (p && Date.now() - p.at < FRESH_MS) return si(p.power_w, "W");
  if (!b.job) return "no job";
  if (b.streaming === false) return "captured after the run";
  return job?.stage === "run" ? "no reading now" : "not measuring yet";
}

function spark(list) {
  if (list.length < 2) return null;
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), line = document.createElementNS(ns, "polyline");
  const top = Math.max(...list, 1e-12);
  svg.setAttribute("viewBox", `0 0 ${POWER_POINTS - 1} 30`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", list.map((v, k) => `${POWER_POINTS - list.length + k},${(29 - (27 * Math.max(0, v)) / top).toFixed(1)}`).join(" "));
  svg.append(line);
  return svg;
}

function benchCard(b) {
  const job = b.job && jobs.find((j) => j.id === b.job), p = b.job && progress.get(b.job), power = live.get(b.name);
  const reading = power && Date.now() - power.at < FRESH_MS, part = p && Number.isFinite(p.fraction) ? String(p.fraction) : null;
  const label = Object.entries(job?.labels ?? {}).map(([k, v]) => `${k}=${v}`).join(", ");
  return el("div", { class: "card" },
    el("h3", {}, b.name, el("span", { class: `state ${tone(b.state)}` }, b.state)),
    el("p", {}, `${b.board?.type ?? "?"}${b.virtual ? ", virtual" : ""} · ${b.analyzer?.sigrok_driver ?? b.analyzer?.driver ?? "?"}`),
    b.health !== "good" || b.reason ? el("p", { class: tone(b.health) }, `health ${b.health}${b.reason ? ": " + b.reason : ""}`) : null,
    el("p", { class: reading ? "power" : "power dim" }, powerText(b)),
    reading ? spark(power.list) : null,
    b.job ? el("p", {}, "job ", el("code", { title: b.job }, shortId(b.job)), label ? ` (${label})` : "", `: ${job?.stage ?? p?.stage ?? "starting"}`) : null,
    b.job ? el("progress", { max: "1", value: part, "aria-label": `progress of the job on ${b.name}` }) : null,
    p?.text ? el("p", {}, p.text) : null);
}

function drawBenches() {
  const look = (b) => [b.state, b.health, b.reason, b.job, powerText(b), jobs.find((j) => j.id === b.job)?.stage, progress.get(b.job), live.get(b.name)?.at];
  sync($("benches"), benches, (b) => b.name, look, benchCard);
  $("benches-empty").hidden = benches.length > 0;
}

// ---- jobs ---------------------------------------------------------------------------------------------------------

async function cancel(id) {
  cancelling.add(id);
  drawJobs();
  try {
    await post(`/jobs/${id}/cancel`);
  } catch (e) {
    cancelling.delete(id);
    say(`The job was not cancelled: ${e.message}`);
  }
  refresh();
}

function jobRow(j) {
  const stopping = j.cancel_requested || cancelling.has(j.id);
  const labels = Object.entries(j.labels ?? {}).map(([k, v]) => `${k}=${v}`).join(", ");
  const cause = !j.cause ? "" : j.cause.class === "canceled" ? j.cause.text : `${j.cause.class} (${j.cause.code}): ${j.cause.text}`;
  const what = j.state === "active" ? j.stage + (stopping ? ", being cancelled" : "") : j.state === "queued" && j.position ? `position ${j.position}` : cause;
  return el("tr", {}, el("td", {}, el("code", { title: j.id }, shortId(j.id))), el("td", { class: tone(j.state) }, j.state), el("td", {}, j.on_bench || j.bench || j.board_type || "–"),
    el("td", { class: "less" }, j.method), el("td", { class: "wrap" }, what, labels ? el("span", { class: "dim" }, `${what ? " · " : ""}${labels}`) : null),
    el("td", { class: "less", title: j.created_at }, when(j.created_at)),
    el("td", {}, isOpen(j) ? el("button", { onclick: () => cancel(j.id), disabled: stopping, "aria-label": `cancel job ${shortId(j.id)}` }, stopping ? "cancelling" : "cancel") : null));
}

function drawJobs() {
  const over = jobs.filter((j) => j.state === "failed" || j.state === "canceled").slice(0, OVER_SHOWN);
  const rows = [...jobs.filter(isOpen).reverse(), ...over];
  sync($("jobs").tBodies[0], rows, (j) => j.id, (j) => [j, cancelling.has(j.id)], jobRow);
  $("jobs").hidden = rows.length === 0;
  $("jobs-empty").hidden = jobs.some(isOpen);
  const n = jobs.filter(isOpen).length;
  document.title = n ? `(${n}) joulefarm` : "joulefarm";
}

// ---- results ------------------------------------------------------------------------------------------------------

const ORIGINS = { imported: "imported", reanalysed: "re-analysis" };
// What people call a result: its model, or where it came from.
function nameOf(r) { return r ? r.board?.model_id ?? r.labels?.model ?? r.board?.name ?? "result" : "result"; }
const origin = (r) => (ORIGINS[r.origin] ? el("span", { class: "badge" }, ORIGINS[r.origin]) : null);

const reasonsOf = (r) => (r.reasons || []).map((x) => x.code).join(", ");

function resultRow(r) {
  const choose = () => chooseResult(r.id);
  return el("tr", { tabindex: "0", "aria-selected": String(r.id === chosen), class: r.id === chosen ? "chosen" : null, onclick: choose,
    onkeydown: (ev) => { if (ev.key === "Enter" || ev.key === " ") { ev.preventDefault(); choose(); } } },
    el("td", { class: "pick" }, el("input", { type: "checkbox", checked: compare.has(r.id), disabled: !compare.has(r.id) && compare.full(), "aria-label": `compare ${nameOf(r)} ${shortId(r.id)}`,
      onclick: (ev) => ev.stopPropagation(), onkeydown: (ev) => ev.stopPropagation(), onchange: () => compare.toggle(r.id) })),
    el("td", {}, nameOf(r), origin(r)), el("td", {}, r.bench ?? r.board?.type ?? "–"), el("td", { class: "n" }, withU95(r.energy_per_inference_j, "J")),
    el("td", { class: "n" }, withU95(r.net_energy_per_inference_j, "J")), el("td", { class: "n" }, si(r.latency_per_inference_s?.median, "s")),
    el("td", { class: "n less" }, si(r.power_w?.mean, "W")), el("td", { class: `verdict ${tone(r.verdict)}` }, r.verdict, r.reasons?.length ? el("small", {}, reasonsOf(r)) : null),
    el("td", { class: "less", title: r.created_at }, when(r.created_at)));
}

function drawResults() {
  const list = [...results.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  sync($("results").tBodies[0], list, (r) => r.id, (r) => [r.verdict, r.id === chosen, compare.has(r.id), compare.full()], resultRow);
  $("results").hidden = list.length === 0;
  $("results-empty").hidden = list.length > 0;
  $("more").hidden = atEnd || !older;
}

async function readResults() {
  const { items, next } = await request(`/results?limit=${PAGE}`);
  const first = results.size === 0;
  for (const r of items) results.set(r.id, r);
  if (first) { older = next; atEnd = !next; }
  drawResults();
  if (!chosen && items.length) chooseResult((items.find((r) => r.trace) ?? items[0]).id, true);
}

async function readOlder() {
  const { items, next } = await request(`/results?limit=${PAGE}&cursor=${encodeURIComponent(older)}`);
  for (const r of items) results.set(r.id, r);
  older = next;
  atEnd = !next;
  drawResults();
}
$("more").addEventListener("click", () => readOlder().catch((e) => say(e.message)));

// ---- reading the lists ----------------------------------------------------------------------------------------------

let pending = false, again = false, listsFailed = false;
async function refresh() {
  if (pending) { again = true; return; }
  pending = true;
  try {
    const [b, j] = await Promise.all([request("/benches"), request(`/jobs?limit=${PAGE}`), readResults()]);
    benches = b.items;
    jobs = j.items;
    for (const job of jobs) if (!isOpen(job)) { progress.delete(job.id); cancelling.delete(job.id); }
    for (const [name, p] of live) if (!benches.some((x) => x.name === name && x.job && (!p.job || x.job === p.job))) live.delete(name);
    drawBenches();
    drawJobs();
    if (listsFailed) say("");
    listsFailed = false;
  } catch (e) {
    listsFailed = connected;
    if (connected) say(`The lists could not be read: ${e.message}`);
  } finally {
    pending = false;
    if (again) { again = false; setTimeout(refresh, 200); }
  }
}

// ---- one result and its trace ---------------------------------------------------------------------------------------

async function chooseResult(id, byItself) {
  if (!byItself) say("");
  if (id === chosen) return;
  chosen = id;
  shown = null;
  const mine = ++asked;
  if (!byItself) history.replaceState(null, "", `#${id}`);
  drawResults();
  try {
    const [r, w] = await Promise.all([request(`/results/${encodeURIComponent(id)}`), request(`/results/${encodeURIComponent(id)}/windows`)]);
    if (mine !== asked) return;
    shown = { result: r, windows: w.items, from: null, to: null };
    showResult();
    plot.clear();
    await loadView();
  } catch (e) {
    if (mine === asked) { chosen = null; drawResults(); say(`The result could not be read: ${e.message}`); }
  }
}

function showResult() {
  const { result: r, windows } = shown;
  $("trace").hidden = false;
  $("trace-title").replaceChildren(el("strong", {}, nameOf(r)), origin(r), r.bench ? ` on ${r.bench}, ` : ", ", el("span", { class: tone(r.verdict) }, r.verdict),
    r.energy_per_inference_j ? `: ${withU95(r.energy_per_inference_j, "J")} per inference gross, ${withU95(r.net_energy_per_inference_j, "J")} net; ${si(r.latency_per_inference_s?.median, "s")}`
      : ": no figure, because");
  $("source").hidden = !r.source_result;
  $("source").replaceChildren(...(r.source_result ? ["Analysed again from the trace of ", el("a", { href: `#${r.source_result}` }, el("code", {}, shortId(r.source_result))), `, rule ${r.window_rule}`,
    ...Object.entries(r.provenance?.reanalysis?.set ?? {}).filter(([k]) => k !== "rule").map(([k, v]) => `, ${k} = ${v}`), "."] : []));
  $("reasons").replaceChildren(...(r.reasons || []).map((x) => reason(x, x.grade ?? r.verdict)), ...(r.notes || []).map((x) => reason(x, "note")));
  $("hint").textContent = `Current; ${windows.length === 1 ? "the window is" : `the ${windows.length} windows are`} shaded${r.analyzer?.shape === "block" ? ", dashed lines part the acquisitions (the time between them was not recorded)" : ""}. ` +
    "Drag to zoom, double click for all. Keys: arrows, Page Up and Down for windows, Home for all.";
  for (const a of $("exports").children) a.href = `${api}/results/${r.id}/export?as=${a.textContent}`;
  for (const id of ["plot", "tools", "again", "trace-stats", "hint"]) $(id).hidden = !r.trace;
  for (const id of ["rule-label", "rule", "analyse"]) $(id).hidden = r.origin === "imported"; // its own runner's rule made it
  $("no-trace").hidden = Boolean(r.trace);
  $("download").href = r.trace ? `${api}/traces/${r.trace}/content` : "";
  $("download").download = `${nameOf(r)}-${r.id}.jft`;
  $("raw").href = `${api}/results/${r.id}`;
  $("detail").replaceChildren(...[windowTable(windows), stageTable(r), budgetTable("Uncertainty budget, gross", r.energy_per_inference_j),
    budgetTable("Uncertainty budget, net", r.net_energy_per_inference_j), factTable(r)].filter(Boolean));
}

function reason(x, grade) {
  const windows = x.windows?.length ? ` (window${x.windows.length > 1 ? "s" : ""} ${x.windows.join(", ")})` : "";
  return el("li", { class: grade === "note" ? "dim" : tone(grade) }, el("code", {}, x.code), ` ${x.text ?? ""}${windows}${x.figure && x.figure !== "all" ? `; ${x.figure} figure only` : ""}`);
}

async function loadView() {
  const v = shown, mine = ++asked;
  if (!v?.result.trace) return;
  const span = v.from === null ? "" : `from_s=${v.from}&to_s=${v.to}`;
  const path = `/traces/${encodeURIComponent(v.result.trace)}`, points = Math.max(100, Math.min(1600, $("plot").clientWidth - 82));
  try {
    const [view, s] = await Promise.all([request(`${path}/view?points=${points}${span && "&" + span}`), request(`${path}/stats${span && "?" + span}`)]);
    if (mine !== asked) return;
    plot.show(view, v.windows, v.result.scheme);
    $("whole").disabled = $("out").disabled = !plot.zoomed();
    $("trace-stats").textContent = `${plot.zoomed() ? "This span" : "The whole trace"}: ${si(s.energy_j, "J")}, ${si(s.charge_c, "C")}, mean ${si(s.current_mean_a, "A")} and ${si(s.power_mean_w, "W")}, ` +
      `${si(s.current_min_a, "A")} to ${si(s.current_max_a, "A")}, over ${si(s.recorded_s, "s")}${s.gap_s ? `, ${si(s.gap_s, "s")} lost` : ""}`;
  } catch (e) {
    if (mine === asked) $("trace-stats").textContent = `The trace could not be read: ${e.message}`;
  }
}

async function analyseAgain() {
  const id = shown?.result.id, rule = $("rule").value;
  if (!id) return;
  $("analyse").disabled = true;
  say("");
  try {
    const made = await post(`/results/${id}/reanalyze`, rule ? { rule } : {});
    if (made.state === "analysing") say("The analysis goes on; its result will appear in the list.");
    else { results.set(made.id, made); drawResults(); chooseResult(made.id); }
  } catch (e) {
    say(`The trace was not analysed again: ${e.message}`);
  } finally {
    $("analyse").disabled = false;
  }
}
$("analyse").addEventListener("click", analyseAgain);
$("compare-none").addEventListener("click", () => compare.clear());
$("whole").addEventListener("click", () => plot.all());
$("in").addEventListener("click", () => plot.zoom(0.5));
$("out").addEventListener("click", () => plot.zoom(2));
$("previous").addEventListener("click", () => plot.step(-1));
$("next").addEventListener("click", () => plot.step(1));

// ---- tables beside the trace ----------------------------------------------------------------------------------------

function table(title, heads, rows) {
  if (!rows.length) return null;
  const side = (i) => (heads[i].startsWith(">") ? "n" : null);
  return el("div", { class: "scroll" }, el("h3", {}, title), el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((h, i) => el("th", { class: side(i) }, h.replace(">", ""))))),
    el("tbody", {}, ...rows.map((r) => el("tr", {}, ...r.map((c, i) => el("td", { class: side(i) }, c)))))));
}
const stageTable = (r) => table("Stages, per inference", ["stage", ">duration", ">energy", ">net", ">share"],
  (r.stages || []).map((s) => [s.name, si(s.duration_s, "s"), si(s.energy_j, "J"), si(s.net_energy_j, "J"), Number.isFinite(s.share) ? `${(100 * s.share).toFixed(1).replace(/^-0\.0$/, "0.0")} %` : "–"]));
const budgetTable = (title, x) => table(title, ["component", "distribution", ">u"], (x?.budget || []).filter((b) => b.u !== 0).map((b) => [b.component, b.distribution, si(b.u, "J")])
  .concat(x?.budget ? [["combined", `k = ${x.k?.toPrecision(3) ?? "–"}`, si(x.u_c, "J")]] : []));
const windowTable = (ws) => table("Windows", [">#", ">inferences", ">duration", ">energy", ">net", "usable"],
  ws.map((w) => [String(w.index), String(w.inferences), si(w.duration_s, "s"), si(w.energy_j, "J"), si(w.net_energy_j, "J"), w.usable ? "yes" : (w.reasons || []).map((x) => x.code ?? x).join(", ") || "no"]));

function factTable(r) {
  const p = r.provenance ?? {}, kib = (n) => (Number.isFinite(n) ? `${(n / 1024).toFixed(1)} KiB` : "–");
  return table("How it was measured", ["what", "value"], [
    ["analyzer", [r.analyzer?.model ?? r.analyzer?.driver, r.analyzer?.serial, r.analyzer?.maturity].filter(Boolean).join(", ")],
    ["rate", si(r.analyzer?.rate_hz, "Hz")],
    ["supply", `${si(r.supply?.voltage_v, "V")} (${r.supply?.provenance ?? "?"}), plane ${r.supply?.plane ?? "?"}`],
    ["board", [r.board?.type, r.board?.serial].filter(Boolean).join(", ")],
    ["core clock", si(r.board?.core_hz, "Hz")],
    ["idle", `${si(r.idle_power_w, "W")}${r.board?.idle_state ? ` in ${r.board.idle_state}` : ""}`],
    ["method", `${r.method}, rule ${r.window_rule}, ${r.inferences} inferences in ${r.windows} windows`],
    ["clock, device / trace", Number.isFinite(r.clock?.device_over_trace) ? `${r.clock.device_over_trace.toFixed(7)} (by ${r.clock.by})` : "–"],
    ["firmware's memory", `flash ${kib(r.memory?.flash_bytes)}, RAM ${kib(r.memory?.ram_bytes)}`],
    ["numerics", p.numerics ?? "–"],
    ["result", r.id], ["job", r.job ?? "–"], ["origin", r.origin]]);
}

// ---- live ---------------------------------------------------------------------------------------------------------

let connected = false, silent = null, timer = null;
function link(on, text) {
  connected = on;
  $("link").className = `pill ${on ? "on" : "off"}`;
  $("link").textContent = text;
  document.body.classList.toggle("stale", !on);
}
function say(text) {
  $("say").textContent = text;
  $("say").hidden = !text;
}
const soon = () => { timer ??= setTimeout(() => { timer = null; drawBenches(); }, 100); };

function take(kind, d) {
  if (kind === "live" && d.bench) {
    const old = live.get(d.bench), list = old && old.job === d.job ? old.list : [];
    live.set(d.bench, { power_w: d.power_w, at: Date.now(), job: d.job, list: [...list.slice(1 - POWER_POINTS), d.power_w] });
  } else if (kind === "progress" && d.job) {
    progress.set(d.job, { fraction: d.fraction, text: d.text, stage: d.stage });
  }
  soon();
}

// The browser takes up a lost stream by itself, but not after an answer that is no stream (a daemon that is full or gives an
// older Last-Event-ID up): then a new one is opened.
function listen() {
  const es = new EventSource(`${api}/events`);
  es.onopen = () => { link(true, "live"); refresh(); };
  es.onerror = () => {
    link(false, "no connection, trying again");
    if (es.readyState === EventSource.CLOSED) { clearTimeout(silent); silent = setTimeout(listen, 2000); }
  };
  es.onmessage = () => refresh();
  for (const kind of ["live", "progress"]) es.addEventListener(kind, (e) => take(kind, JSON.parse(e.data)));
}

addEventListener("hashchange", () => { if (location.hash.length > 1) chooseResult(location.hash.slice(1)); });
setInterval(drawBenches, 1000); // a reading that grew old is taken away
if (location.hash.length > 1) chooseResult(location.hash.slice(1));
listen();
refresh();
