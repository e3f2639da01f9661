// SPDX-License-Identifier: GPL-2.0-or-later
// One trace on a canvas: current (least, mean, most of every pixel), windows shaded, marker lines below, what was lost or
// not recorded marked as such. Knows nothing of the API but the shape of a view; asks for a span by calling ask(from, to).
import { si } from "./format.js";

const LEFT = 70, RIGHT = 12, TOP = 14, BOTTOM = 24, LANE = 11;
const LINES = ["window", "inference", "stage 0", "stage 1", "stage 2"];

// 1, 2 or 5 times a power of ten, so that about n steps fill the span.
function niceStep(span, n) {
  const raw = span / n, power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5].find((m) => m * power >= raw * 0.999) ?? 10);
}

export class Plot {
  constructor(canvas, ask) {
    this.canvas = canvas;
    this.ask = ask;
    this.data = null;
    this.windows = [];
    this.scheme = "phases";
    this.whole = null; // [from, to] of the trace
    this.drag = null;
    this.cursor = null;
    canvas.addEventListener("pointerdown", (e) => this.down(e));
    canvas.addEventListener("pointermove", (e) => this.move(e));
    canvas.addEventListener("pointerup", (e) => this.up(e));
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    canvas.addEventListener("pointerleave", () => { if (!this.drag) { this.cursor = null; this.draw(); } });
    canvas.addEventListener("dblclick", () => this.all());
    canvas.addEventListener("keydown", (e) => this.key(e));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.data = this.whole = this.drag = this.cursor = null;
    this.windows = [];
    this.draw();
  }

  show(data, windows, scheme) {
    this.whole ??= [data.from_s, data.to_s];
    this.data = data;
    this.windows = windows;
    this.scheme = scheme;
    this.draw();
  }

  // ---- moving about -----------------------------------------------------------------------------------------------

  zoomed() { return Boolean(this.data && this.whole && (this.data.from_s > this.whole[0] || this.data.to_s < this.whole[1])); }
  all() { if (this.whole) this.ask(null, null); }
  go(from, to) {
    if (!this.whole) return;
    const [a, b] = this.whole, least = 20 * this.data.period_s;
    let span = Math.max(to - from, Math.min(least, b - a));
    if (span >= b - a) return this.all();
    const at = Math.min(Math.max(from, a), b - span);
    this.ask(at, at + span);
  }
  zoom(factor) {
    if (!this.data) return;
    const mid = (this.data.from_s + this.data.to_s) / 2, half = ((this.data.to_s - this.data.from_s) * factor) / 2;
    this.go(mid - half, mid + half);
  }
  pan(part) {
    if (!this.data) return;
    const by = (this.data.to_s - this.data.from_s) * part;
    this.go(this.data.from_s + by, this.data.to_s + by);
  }
  // The next (+1) or previous (-1) window, with a margin on both sides.
  step(way) {
    if (!this.data || !this.windows.length) return;
    const mid = (this.data.from_s + this.data.to_s) / 2, list = this.windows;
    const center = (w) => (w.from_s + w.to_s) / 2, close = (this.data.to_s - this.data.from_s) * 0.01;
    const w = !this.zoomed() ? (way > 0 ? list[0] : list.at(-1))
      : way > 0 ? list.find((x) => center(x) > mid + close) : list.findLast((x) => center(x) < mid - close);
    if (w) this.go(w.from_s - 0.1 * (w.to_s - w.from_s), w.to_s + 0.1 * (w.to_s - w.from_s));
  }

  key(e) {
    const todo = { ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25), ArrowUp: () => this.zoom(0.5), ArrowDown: () => this.zoom(2), "+": () => this.zoom(0.5),
      "-": () => this.zoom(2), Home: () => this.all(), Escape: () => this.all(), PageUp: () => this.step(-1), PageDown: () => this.step(1) }[e.key];
    if (!todo || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    todo();
  }

  down(e) {
    if (!this.data || e.button !== 0) return;
    this.drag = [e.offsetX, e.offsetX];
    this.canvas.setPointerCapture(e.pointerId);
  }
  move(e) {
    this.cursor = e.offsetX;
    if (this.drag) this.drag[1] = e.offsetX;
    if (this.data) this.draw();
  }
  up() {
    if (!this.drag) return;
    const [a, b] = this.drag.map((px) => this.time(px)).sort((p, q) => p - q), wide = Math.abs(this.drag[1] - this.drag[0]) > 4;
    this.drag = null;
    if (wide) this.go(a, b);
    else this.draw();
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------

  width() { return Math.max(50, this.canvas.clientWidth - LEFT - RIGHT); }
  time(px) { return this.data.from_s + ((this.data.to_s - this.data.from_s) * Math.min(this.width(), Math.max(0, px - LEFT))) / this.width(); }
  x(t) { return LEFT + (this.width() * (t - this.data.from_s)) / (this.data.to_s - this.data.from_s); }
  // The part of [a, b] that is in view, in pixels; null when nothing is.
  span(a, b) {
    const p = Math.max(LEFT, this.x(a)), q = Math.min(LEFT + this.width(), this.x(b));
    return q > p ? [p, q - p] : null;
  }

  draw() {
    const c = this.canvas, ratio = window.devicePixelRatio || 1, w = c.clientWidth, h = c.clientHeight;
    c.width = Math.round(w * ratio);
    c.height = Math.round(h * ratio);
    const d = this.data;
    if (!d || w < 120) return;
    const g = c.getContext("2d"), css = getComputedStyle(document.documentElement);
    this.color = (name) => css.getPropertyValue(name).trim();
    g.scale(ratio, ratio);
    g.font = "12px system-ui, sans-serif";
    const lanes = this.lanes(), ph = h - TOP - BOTTOM - (lanes.length ? lanes.length * LANE + 10 : 0);
    this.axes(g, ph, h);
    this.shades(g, ph);
    this.curve(g, ph);
    this.drawLanes(g, lanes, TOP + ph + 10);
    this.pointer(g, ph);
  }

  axes(g, ph, h) {
    const d = this.data, span = d.to_s - d.from_s, w = this.width();
    const known = (list, pick, none) => { const v = list.filter((x) => x !== null); return v.length ? v.reduce((a, b) => pick(a, b)) : none; };
    const most = known(d.current_a.max, Math.max, 0), least = Math.min(0, known(d.current_a.min, Math.min, 0));
    const range = Math.max(1e-12, most - least), step = niceStep(range, 5);
    this.low = least < -0.02 * range ? least - 0.03 * range : 0;
    this.high = most + 0.06 * range;
    this.y = (i) => TOP + ph * (1 - (Math.min(this.high, Math.max(this.low, i)) - this.low) / (this.high - this.low));
    g.lineWidth = 1;
    g.strokeStyle = this.color("--line");
    g.fillStyle = this.color("--dim");
    g.textAlign = "right";
    for (let k = Math.ceil(this.low / step - 1e-9); k * step <= this.high; k++) {
      const y = Math.round(this.y(k * step)) + 0.5;
      g.beginPath(); g.moveTo(LEFT, y); g.lineTo(LEFT + w, y); g.stroke();
      g.fillText(k === 0 ? "0 A" : si(Number((k * step).toPrecision(6)), "A").replace(/\.?0+ /, " "), LEFT - 6, y + 4);
    }
    const tick = niceStep(span, Math.max(2, w / 130)), digits = Math.max(0, Math.min(7, -Math.floor(Math.log10(tick) + 1e-9)));
    for (let k = Math.ceil(d.from_s / tick - 1e-9); k * tick <= d.to_s + 1e-9 * span; k++) {
      const x = this.x(k * tick), text = `${(k * tick).toFixed(digits)} s`, half = g.measureText(text).width / 2;
      g.textAlign = "center";
      g.fillText(text, Math.min(LEFT + w + RIGHT - half - 1, Math.max(LEFT + half, x)), h - 7);
      g.beginPath(); g.moveTo(x, h - BOTTOM); g.lineTo(x, h - BOTTOM + 4); g.stroke();
    }
  }

  shades(g, ph) {
    const d = this.data;
    for (const win of this.windows) {
      const s = this.span(win.from_s, win.to_s);
      if (!s) continue;
      g.globalAlpha = 0.14;
      g.fillStyle = this.color(win.usable ? "--mark" : "--bad");
      g.fillRect(s[0], TOP, s[1], ph);
      g.globalAlpha = 1;
      if (s[1] > 12) { g.textAlign = "left"; g.fillText(String(win.index), s[0] + 3, TOP + 11); }
    }
    for (const [a, b] of d.gaps) this.hatch(g, a, b, ph, "--bad", "lost");
    // What lies between two segments was never recorded. Segments that touch still were two acquisitions.
    d.segments.forEach(([a], k) => {
      if (k === 0) return;
      const end = d.segments[k - 1][1];
      if (a > end + d.period_s) return this.hatch(g, end, a, ph, "--dim", "not recorded");
      const x = Math.round(this.x(a)) + 0.5;
      if (x <= LEFT || x >= LEFT + this.width()) return;
      g.strokeStyle = this.color("--dim"); g.setLineDash([3, 4]);
      g.beginPath(); g.moveTo(x, TOP); g.lineTo(x, TOP + ph); g.stroke(); g.setLineDash([]);
    });
  }

  hatch(g, a, b, ph, color, text) {
    const s = this.span(a, b);
    if (!s) return;
    const wide = Math.max(2, s[1]);
    g.save();
    g.beginPath(); g.rect(s[0], TOP, wide, ph); g.clip();
    g.globalAlpha = 0.12; g.fillStyle = this.color(color); g.fillRect(s[0], TOP, wide, ph);
    g.globalAlpha = 0.5; g.strokeStyle = this.color(color); g.beginPath();
    for (let x = s[0] - ph; x < s[0] + wide; x += 9) { g.moveTo(x, TOP + ph); g.lineTo(x + ph, TOP); }
    g.stroke();
    g.restore();
    g.textAlign = "center"; g.fillStyle = this.color(color);
    if (g.measureText(text).width + 6 < wide) g.fillText(text, s[0] + wide / 2, TOP + 24);
  }

  curve(g, ph) {
    const { min, mean, max } = this.data.current_a, n = mean.length, step = this.width() / n;
    const single = (this.data.to_s - this.data.from_s) / n < 1.5 * this.data.period_s;
    g.fillStyle = g.strokeStyle = this.color("--mark");
    if (!single) {
      g.globalAlpha = 0.45;
      for (let k = 0; k < n; k++) {
        if (min[k] === null) continue;
        const top = this.y(max[k]);
        g.fillRect(LEFT + step * k, top, Math.max(1, step), Math.max(1, this.y(min[k]) - top));
      }
      g.globalAlpha = 1;
    }
    g.lineWidth = 1.2;
    g.beginPath();
    let pen = false;
    for (let k = 0; k < n; k++) {
      if (mean[k] === null) { if (!single) pen = false; continue; }
      const x = LEFT + step * (k + 0.5), y = this.y(mean[k]);
      if (pen) g.lineTo(x, y); else g.moveTo(x, y);
      pen = true;
    }
    g.stroke();
    g.lineWidth = 1;
  }

  // [line, edges] of the marker lines that change in view; nothing when the view holds too many edges to be told apart.
  lanes() {
    const d = this.data;
    if (!d.edges?.length || d.edges_truncated || d.edges.length > 2 * this.width()) return [];
    const found = new Map();
    for (const e of d.edges) found.set(e.line, [...(found.get(e.line) ?? []), e]);
    return [...found.entries()].sort((a, b) => a[0] - b[0]).slice(0, 5);
  }

  drawLanes(g, lanes, top) {
    lanes.forEach(([line, edges], k) => {
      const y = (level) => top + k * LANE + (level ? 1.5 : LANE - 2.5);
      g.textAlign = "right"; g.fillStyle = this.color("--dim");
      g.font = "10px system-ui, sans-serif";
      g.fillText(this.scheme === "phases" ? LINES[line] ?? `line ${line}` : `line ${line}`, LEFT - 6, top + k * LANE + 9);
      g.strokeStyle = this.color("--ink");
      g.beginPath();
      g.moveTo(LEFT, y(!edges[0].level));
      for (const e of edges) { const x = this.x(e.t_s); g.lineTo(x, y(!e.level)); g.lineTo(x, y(e.level)); }
      g.lineTo(LEFT + this.width(), y(edges.at(-1).level));
      g.stroke();
    });
    g.font = "12px system-ui, sans-serif";
  }

  pointer(g, ph) {
    const d = this.data;
    if (this.drag) {
      const [a, b] = this.drag.map((p) => Math.min(LEFT + this.width(), Math.max(LEFT, p)));
      g.fillStyle = this.color("--warn"); g.globalAlpha = 0.25;
      g.fillRect(Math.min(a, b), TOP, Math.abs(b - a), ph); g.globalAlpha = 1;
    }
    if (this.cursor === null || this.cursor < LEFT || this.cursor > LEFT + this.width()) return;
    const k = Math.min(d.current_a.mean.length - 1, Math.floor(((this.cursor - LEFT) / this.width()) * d.current_a.mean.length));
    const digits = Math.max(3, Math.min(7, 3 - Math.floor(Math.log10(d.to_s - d.from_s))));
    const text = `${this.time(this.cursor).toFixed(digits)} s: ${si(d.current_a.mean[k], "A")}, ${si(d.power_w.mean[k], "W")}`;
    g.strokeStyle = g.fillStyle = this.color("--dim");
    g.beginPath(); g.moveTo(this.cursor + 0.5, TOP); g.lineTo(this.cursor + 0.5, TOP + ph); g.stroke();
    const half = g.measureText(text).width / 2 + 4;
    const x = Math.min(LEFT + this.width() - half, Math.max(LEFT + half, this.cursor));
    g.fillStyle = this.color("--card"); g.fillRect(x - half, 0, 2 * half, 15);
    g.fillStyle = this.color("--ink"); g.textAlign = "center"; g.fillText(text, x, 11);
  }
}
