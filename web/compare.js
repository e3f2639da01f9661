// SPDX-License-Identifier: GPL-2.0-or-later
// Results beside each other: which were chosen (the first is compared with each of the others), the daemon's comparison as
// tables, or its refusal in words with a way to accept each difference. Shares with the page only request().
import { el, shortId, si } from "./format.js";

const MOST = 8;
const FIGURES = [["gross", "gross energy", "J"], ["net", "net energy", "J"], ["latency", "latency", "s"]];

export class Compare {
  // nameOf(id): what people call a result; changed(): the choice is another one.
  constructor(section, body, request, nameOf, changed) {
    Object.assign(this, { section, body, request, nameOf, changed });
    this.ids = [];
    this.allowed = new Set();
    this.asked = 0;
  }

  has(id) { return this.ids.includes(id); }
  full() { return this.ids.length >= MOST; }

  toggle(id) {
    this.ids = this.has(id) ? this.ids.filter((x) => x !== id) : this.full() ? this.ids : [...this.ids, id];
    this.allowed.clear();
    this.changed();
    this.ask();
  }

  clear() { this.ids = []; this.allowed.clear(); this.changed(); this.ask(); }

  async ask() {
    const mine = ++this.asked;
    this.section.hidden = this.ids.length === 0;
    if (this.ids.length < 2) {
      this.body.replaceChildren(el("p", { class: "empty" }, this.ids.length ? `${this.nameOf(this.ids[0])} is chosen; choose another result to compare it with.` : ""));
      return;
    }
    const allow = this.allowed.size ? `&allow=${[...this.allowed].join(",")}` : "";
    try {
      const doc = await this.request(`/compare?results=${this.ids.join(",")}${allow}`);
      if (mine === this.asked) this.body.replaceChildren(...doc.pairs.map((p) => this.pair(p)));
    } catch (e) {
      if (mine === this.asked) this.body.replaceChildren(...this.refusal(e));
    }
  }

  name(id) { return el("span", { title: id }, this.nameOf(id), " ", el("code", {}, shortId(id))); }

  pair(p) {
    const rows = FIGURES.map(([key, name, unit]) => this.row(name, unit, p[key], key === "net" && p.net_refused ? "not comparable, see below" : "no such figure"));
    const shared = p.gross?.shared ?? [];
    return el("div", { class: "scroll" }, el("h3", {}, "a: ", this.name(p.a), "   b: ", this.name(p.b)),
      el("table", {}, el("thead", {}, el("tr", {}, ...["per inference", "a", "b", "a − b", "U95 of a − b", "a / b", ""].map((h, i) => el("th", { class: i > 0 && i < 6 ? "n" : null }, h)))), el("tbody", {}, ...rows)),
      shared.length ? el("p", { class: "hint" }, `Both share ${shared.join(", ")}: it cancels. Without that U95 were ${si(p.gross.u95_unshared, "J")}.`) : null,
      ...p.unlike.map((u) => el("p", { class: "warn" }, `${u.net_only ? "Only the net figures are concerned: " : "Compared although they are unlike: "}${u.text}.`)));
  }

  row(name, unit, f, why) {
    if (!f) return el("tr", {}, el("td", {}, name), el("td", { class: "dim", colspan: "6" }, why));
    const says = !f.u_known ? ["warn", "uncertainty unknown"] : f.differs ? ["busy", "differs"] : ["dim", "no difference beyond U95"];
    return el("tr", {}, el("td", {}, name), ...[si(f.a, unit), si(f.b, unit), si(f.difference, unit), si(f.u95, unit), Number.isFinite(f.ratio) ? f.ratio.toFixed(4) : "–"].map((x) => el("td", { class: "n" }, x)),
      el("td", { class: says[0] }, says[1]));
  }

  refusal(e) {
    const doc = e.problem ?? {}, open = (doc.unlike ?? []).filter((u) => !u.net_only && !this.allowed.has(u.allow));
    if (!open.length) return [el("p", { class: "bad" }, `Not compared: ${e.message}`)];
    const invalid = open.some((u) => !u.allow);
    return [el("p", { class: "bad" }, "Not compared: ", this.name(doc.a), " and ", this.name(doc.b), " are not alike."),
      el("ul", { class: "unlike" }, ...open.map((u) => el("li", {}, `${u.text} `, invalid ? null : el("button", { onclick: () => this.allow([u]) }, "accept this")))),
      invalid ? null : el("p", {}, el("button", { onclick: () => this.allow(open) }, "compare all the same"), " The comparison will say what is unlike.")].filter(Boolean);
  }

  allow(list) {
    for (const u of list) this.allowed.add(u.allow);
    this.ask();
  }
}
