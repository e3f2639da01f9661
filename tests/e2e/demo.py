#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: three virtual benches, the four MLPerf Tiny models on each, a table against the benches' own truth, a page.

Each bench is a jf-vbench process reached only through OpenOCD, libsigrok and serial lines; the daemon, the workers and
the client are the real programs. Nothing outside build/demo is written, except build/demo.json."""
import argparse
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import BENCHES, FINAL, MODELS, ROOT, Lab, match_truth, si, truth_energy_per_inference  # noqa: E402


def make_row(lab, model, bench, job):
    row = {"model": model, "bench": bench, "energy_per_inference_j": None, "net_energy_per_inference_j": None, "u95_j": None,
           "latency_s": None, "flash_bytes": None, "ram_bytes": None, "verdict": job["state"], "truth_energy_j": None,
           "relative_error": None}
    results = lab.results_of(job["id"])
    if not results:
        cause = job.get("cause") or {}
        row["verdict"] = f"{job['state']}: {cause.get('text', '?')}"
        return row
    r = lab.api("GET", f"/results/{results[0]['id']}")
    windows = lab.api("GET", f"/results/{r['id']}/windows")["items"]
    e, net = r.get("energy_per_inference_j") or {}, r.get("net_energy_per_inference_j") or {}
    row.update(energy_per_inference_j=e.get("median"), u95_j=e.get("u95"), net_energy_per_inference_j=net.get("median"),
               latency_s=(r.get("latency_per_inference_s") or {}).get("median"), flash_bytes=r["memory"]["flash_bytes"],
               ram_bytes=r["memory"]["ram_bytes"], verdict=r["verdict"], reasons=[x["code"] for x in r["reasons"]])
    run = match_truth(windows, lab.benches[bench].truth("window"))
    if run and e.get("median"):
        row["truth_energy_j"] = truth_energy_per_inference(windows, run)
        row["relative_error"] = e["median"] / row["truth_energy_j"] - 1
    return row


def print_table(rows):
    head = f"{'model':6} {'bench':8} {'energy/inference':>17} {'net':>11} {'U95':>10} {'latency':>11} {'flash':>8} {'RAM':>8}  {'verdict':8} {'error vs truth':>14}"
    print("\n" + head + "\n" + "-" * len(head))
    for r in rows:
        error = "-" if r["relative_error"] is None else f"{100 * r['relative_error']:+.4f} %"
        kib = [f"{r[k] / 1024:.1f} K" if r[k] is not None else "-" for k in ("flash_bytes", "ram_bytes")]
        print(f"{r['model']:6} {r['bench']:8} {si(r['energy_per_inference_j'], 'J'):>17} {si(r['net_energy_per_inference_j'], 'J'):>11} "
              f"{si(r['u95_j'], 'J'):>10} {si(r['latency_s'], 's'):>11} {kib[0]:>8} {kib[1]:>8}  {r['verdict']:8} {error:>14}"
              + (f"  {', '.join(r['reasons'])}" if r.get("reasons") else ""))


class Progress:
    """One line a bench: redrawn on a terminal, a line per change elsewhere."""

    def __init__(self, lab, total):
        self.lab, self.total, self.tty = lab, total, sys.stdout.isatty()
        self.lines, self.last = 0, {}

    def show(self, jobs, began):
        done = sum(j["state"] in FINAL for _, _, j in jobs)
        states = {}
        for model, bench, j in jobs:
            if j["state"] == "active":
                states[bench] = f"{model}: {j.get('stage') or 'starting'}"
        lines = [f"  {b:8} {states.get(b, 'idle' if done else 'waiting')}" for b in self.lab.benches]
        head = f"[{'#' * (20 * done // self.total):20}] {done}/{self.total} measured, {time.monotonic() - began:.0f} s"
        if self.tty:
            if self.lines:
                sys.stdout.write(f"\x1b[{self.lines}A")
            for line in [head, *lines]:
                sys.stdout.write(f"\x1b[2K{line}\n")
            self.lines = 1 + len(lines)
        else:
            for b, text in states.items():
                if self.last.get(b) != text:
                    print(f"  {time.monotonic() - began:5.1f} s  {b:8} {text}")
            self.last = dict(states)
        sys.stdout.flush()


def measure_all(lab):
    jobs, began = [], time.monotonic()
    ids = {m: lab.upload_firmware(m) for m in MODELS}
    for model in MODELS:
        for bench in lab.benches:
            jobs.append([model, bench, lab.job(lab.submit(ids[model], bench, retries=2, labels={"demo": model}))])
    progress = Progress(lab, len(jobs))
    rows = {}
    while any(j["state"] not in FINAL for _, _, j in jobs):
        for entry in jobs:
            if entry[2]["state"] not in FINAL:
                entry[2] = lab.job(entry[2]["id"])
                if entry[2]["state"] in FINAL:
                    rows[entry[0], entry[1]] = make_row(lab, *entry)
        progress.show(jobs, began)
        if time.monotonic() - began > 600:
            raise TimeoutError("the demo did not finish within 10 minutes")
        time.sleep(0.25)
    return [rows[m, b] for m in MODELS for b in lab.benches]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--exit", action="store_true", help="end after the table; status 1 if a row is not valid")
    ap.add_argument("--realistic", action="store_true", help="switch the virtual instruments' errors on")
    ap.add_argument("--bench", action="append", choices=sorted(BENCHES), help="only this bench (repeatable)")
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    directory = os.path.join(ROOT, "build", "demo")
    shutil.rmtree(directory, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("joulefarm demo: energy per inference of four int8 models on three virtual benches", flush=True)
    with Lab(directory, tuple(a.bench or BENCHES), realistic=a.realistic, seed=a.seed) as lab:
        lab.start_daemon()
        print(f"the page: {lab.url}/   (log: {os.path.relpath(os.path.join(lab.dir, 'joulefarmd.log'), os.getcwd())})", flush=True)
        rows = measure_all(lab)
        print_table(rows)
        with open(os.path.join(ROOT, "build", "demo.json"), "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
            f.write("\n")
        bad = [r for r in rows if r["verdict"] != "valid"]
        print(f"\n{len(rows) - len(bad)} of {len(rows)} results are valid. The page is at {lab.url}/", flush=True)
        if not a.exit:
            print("Ctrl-C ends the demo.", flush=True)
            signal.pause()
    return 1 if bad else 0


try:
    sys.exit(main())
except KeyboardInterrupt:
    print("\nended", file=sys.stderr)
    sys.exit(130)
