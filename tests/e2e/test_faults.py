#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fault of the virtual bench ends in a bounded time: as a failed attempt with the true cause, or as an invalid
result with the true reason, never as a number that looks good. Three benches work through their faults side by side."""
import json
import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, Tap  # noqa: E402

# fault, its parameters, when: "before" the job or "window" (while a window is open), bench,
# expected: ("failed", cause class, error codes) or ("invalid", reason codes)
FAULTS = [
    ("probe-refuse", {}, "before", "scope-a", ("failed", "infrastructure", {"probe-failed", "timeout"})),
    ("probe-silent", {}, "before", "scope-b", ("failed", "infrastructure", {"timeout", "probe-failed"})),
    ("probe-drop", {"after": 40}, "before", "scope-a", ("failed", "infrastructure", {"probe-failed"})),
    ("chip-id", {}, "before", "scope-a", ("failed", "infrastructure", {"wrong-identity"})),
    ("verify-mismatch", {}, "before", "scope-a", ("failed", "infrastructure", {"verify-failed"})),
    ("uart-silent", {}, "before", "scope-b", ("failed", "job", {"dut-silent"})),
    ("scope-mute", {}, "window", "scope-b", ("failed", "infrastructure", {"bench-stalled", "instrument-failed", "timeout"})),
    ("scope-short-block", {}, "before", "scope-a", ("failed", "infrastructure", {"instrument-failed", "bench-stalled", "gone"})),
    ("marker-open", {"line": 1}, "before", "scope-b", ("invalid", {"marker-missing", "inference-count", "marker-parity"})),
    ("marker-stuck", {"line": 0, "level": 0}, "before", "scope-a", ("invalid-or-failed", {"marker-missing", "window-cut"}, {"instrument-failed", "bench-stalled", "timeout"})),
    ("marker-delay", {"line": 1, "us": 4000}, "before", "scope-b", ("invalid", {"marker-parity", "inference-count"})),
    ("ppk2-saturate", {"count": 1000}, "window", "ppk2-c", ("invalid", {"clipped"})),
    ("brown-out", {}, "window", "ppk2-c", ("invalid-or-failed", {"brownout", "device-reset", "marker-missing", "window-cut"}, {"dut-silent", "dut-error"})),
    ("host-stall", {"ms": 1500}, "window", "ppk2-c", ("failed", "infrastructure", {"bench-stalled"})),
    ("ppk2-counter-jump", {"samples": 100}, "window", "ppk2-c", ("invalid", {"sample-gap", "sample-loss-by-clock"})),
    ("ppk2-counter-jump", {"samples": 128}, "window", "ppk2-c", ("invalid", {"sample-loss-by-clock"})),
    ("ppk2-unplug", {}, "window", "ppk2-c", ("failed", "infrastructure", {"gone", "instrument-failed", "bench-stalled"})),
]
LIMIT_S = 75  # the longest that one faulty attempt may take


def window_open(bench, timeout=60):
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if bench.control(cmd="status")["window_s"] > 1.0:  # the trial inference before is shorter
            return True
        time.sleep(0.05)
    return False


def judge(lab, job, expected):
    """(good, what was seen)"""
    results = [lab.api("GET", f"/results/{r['id']}") for r in lab.results_of(job["id"])]
    cause = job.get("cause") or {}
    seen = {"state": job["state"], "cause": cause, "verdicts": [(r["verdict"], [x["code"] for x in r["reasons"]]) for r in results]}
    reasons = {x["code"] for r in results for x in r["reasons"]}
    invalid = bool(results) and all(r["verdict"] == "invalid" for r in results)
    failed = job["state"] == "failed" and not results
    if expected[0] == "failed":
        return failed and cause.get("class") == expected[1] and cause.get("code") in expected[2], seen
    if expected[0] == "invalid":
        return invalid and bool(reasons & expected[1]), seen
    return (invalid and bool(reasons & expected[1])) or (failed and cause.get("code") in expected[2]), seen


def run_fault(lab, firmwares, fault, nth):
    name, params, when, bench_name, expected = fault
    bench = lab.benches[bench_name]
    began = time.monotonic()
    if when == "before":
        bench.fault(name, **params)
    # another image each time, so that flashing really happens
    job_id = lab.submit(firmwares[nth % 2], bench_name, windows=1, window_s=3.0 if when == "window" else 0.3)
    if when == "window" and window_open(bench):
        time.sleep(0.8)
        bench.fault(name, **params)
    try:
        job = lab.wait(job_id, LIMIT_S)
        good, seen = judge(lab, job, expected)
    except TimeoutError as e:
        good, seen = False, str(e)
        lab.api("POST", f"/jobs/{job_id}/cancel", {})
    took = time.monotonic() - began
    if name != "ppk2-unplug":
        bench.fault(name, on=False)
    return good, f"{name} {params} on {bench_name}: {expected[0]}, {took:.0f} s", json.dumps(seen)


def recover(lab, bench_name):
    """The bench is back in service, or is put back."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        b = lab.api("GET", f"/benches/{bench_name}")
        if b["state"] == "idle" and b["health"] == "good":
            return True
        if b["state"] in ("offline", "maintenance") or b["health"] != "good":
            try:
                lab.api("POST", f"/benches/{bench_name}/recover", {})
            except Exception:  # noqa: BLE001 - tried again until the time is up
                pass
        time.sleep(0.2)
    return False


def main():
    tap, lock = Tap(), threading.Lock()
    only = set(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="jf-e2e-") as d, Lab(d) as lab:
        lab.start_daemon()
        firmwares = [lab.upload_firmware("ad01"), lab.upload_firmware("kws01")]

        def work(bench_name):
            mine = [f for f in FAULTS if f[3] == bench_name and (not only or f[0] in only)]
            for nth, fault in enumerate(mine):
                try:
                    good, text, seen = run_fault(lab, firmwares, fault, nth)
                    back = fault[0] == "ppk2-unplug" or recover(lab, bench_name)
                except Exception as e:  # noqa: BLE001 - reported as a failed check
                    good, text, seen, back = False, str(fault), repr(e), False
                with lock:
                    tap.check(good, text, seen)
                    tap.check(back, f"{bench_name} is in service again after {fault[0]}", json.dumps(lab.api("GET", f"/benches/{bench_name}")))

        threads = [threading.Thread(target=work, args=(b,)) for b in lab.benches]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        numbers = [r for r in lab.api("GET", "/results?limit=100")["items"] if r["verdict"] == "valid"]
        tap.check(not numbers, "no faulty run became a valid number", json.dumps(numbers)[:2000])
        tap.check(lab.api("GET", "/livez") is not None, "the daemon is alive")
    return tap.done()


sys.exit(main())
