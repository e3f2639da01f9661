// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers, times and elements as the page shows them.

const STEPS = [[1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];

const NOTHING = 1e-15; // what is smaller is left over from rounding

// "18.06 mJ", four significant digits; a dash for what is not a number.
export function si(v, unit) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (Math.abs(v) < NOTHING) return `0 ${unit}`;
  const [scale, prefix] = STEPS.find(([s]) => Math.abs(v) >= s * 0.99995) || STEPS.at(-1);
  return `${(v / scale).toPrecision(4)} ${prefix}${unit}`;
}

// "18.06 ± 0.08 mJ": value and uncertainty in the value's unit.
export function withU95(x, unit) {
  if (!x || !Number.isFinite(x.median)) return "–";
  if (!Number.isFinite(x.u95)) return `${si(x.median, unit)}, U95 unknown`;
  const [scale, prefix] = x.median === 0 ? [1, ""] : STEPS.find(([s]) => Math.abs(x.median) >= s * 0.99995) || STEPS.at(-1);
  const u = x.u95 / scale;
  const digits = u > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(u)))) : 3;
  return `${(x.median / scale).toFixed(digits)} ± ${u.toFixed(digits)} ${prefix}${unit}`;
}

// Local time; the UTC original belongs into a title.
export function when(iso) {
  const d = new Date(iso ?? NaN);
  if (Number.isNaN(d.getTime())) return "–";
  const two = (n) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export const shortId = (id) => (id ?? "").slice(-12);

export function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v === null || v === undefined || v === false) continue;
    if (k === "class") e.className = v;
    else if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// Children of parent become one node per item. A node is made again only when its item (as seen by look) changed, and moved
// only when the order changed: the focus and a half-made click survive a refresh.
export function sync(parent, items, key, look, make) {
  const old = new Map([...parent.children].map((n) => [n.dataset.key, n]));
  let at = parent.firstChild;
  for (const item of items) {
    const k = key(item), sign = JSON.stringify(look(item));
    let node = old.get(k);
    old.delete(k);
    if (!node || node.dataset.sign !== sign) {
      const fresh = make(item);
      fresh.dataset.key = k;
      fresh.dataset.sign = sign;
      if (node) {
        const focused = node === document.activeElement;
        if (at === node) at = fresh;
        node.replaceWith(fresh);
        if (focused) fresh.focus();
      }
      node = fresh;
    }
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  for (const n of old.values()) n.remove();
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}
