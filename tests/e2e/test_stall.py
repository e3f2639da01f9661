#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Losses that no counter shows, on a host that stalls: the worker of a PPK2 bench is stopped for 20 to 100 ms, about 1 % of the time, while a job runs
and 64 samples are lost once in a window. That loss is found and nothing else; the windows it may have touched are not used, the others
stay, and their energy is the truth."""
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, Tap, truth_energy_per_inference  # noqa: E402

WINDOWS, LOST, PERIOD_S = 8, 64, 10e-6


def stall(lab, done, count):
    rng = random.Random(7)
    while not done.wait(rng.uniform(2, 10)):
        workers = [p for p, c in lab.processes().items() if "jf-bench" in c and "ppk2-c" in c]
        if workers:
            os.kill(workers[0], signal.SIGSTOP)
            time.sleep(rng.uniform(0.02, 0.1))
            os.kill(workers[0], signal.SIGCONT)
            count.append(workers[0])


def lose_in_window(bench, nth, timeout=90):
    until, seen, was = time.monotonic() + timeout, 0, False
    while time.monotonic() < until:
        now = bench.control(cmd="status")["window_open"]
        seen += now and not was
        was = now
        if seen == nth and now:
            bench.fault("ppk2-counter-jump", samples=LOST)
            return True
        time.sleep(0.02)
    return False


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jf-e2e-") as d, Lab(d, ("ppk2-c",)) as lab:
        lab.start_daemon()
        bench = lab.benches["ppk2-c"]
        done, count = threading.Event(), []
        job_id = lab.submit(lab.upload_firmware("ad01"), "ppk2-c", windows=WINDOWS, window_s=0.4)
        t = threading.Thread(target=stall, args=(lab, done, count))
        t.start()
        lost = lose_in_window(bench, 5)  # one is the trial before
        job = lab.wait(job_id, 120)
        done.set()
        t.join()
        if tap.check(lost and job["state"] == "done", "the job is done", json.dumps(job)):
            result = lab.api("GET", f"/results/{lab.results_of(job_id)[0]['id']}")
            windows = lab.api("GET", f"/results/{result['id']}/windows")["items"]
            loss, good = result["loss"], [w for w in windows if w["usable"]]
            tap.check(count, "the worker was stalled", len(count))
            tap.check(loss["steps"] == 1 and abs(loss["lost_s"] / PERIOD_S - LOST) < 20, "one loss of 64 samples was found, and no other", json.dumps(loss))
            codes = {c for w in windows for c in w["reasons"]}
            tap.check(codes == {"sample-loss-by-clock"} and WINDOWS - 4 <= len(good) < WINDOWS, "it costs the windows it may have touched", json.dumps([w["reasons"] for w in windows]))
            run = bench.truth("window")[-WINDOWS:]  # behind the trial; the window that lost samples has another length
            truth = truth_energy_per_inference(good, [run[w["index"]] for w in good]) if len(run) == WINDOWS else None
            gross = result["energy_per_inference_j"]["median"]
            tap.check(truth and abs(gross / truth - 1) < 0.002, "the others give the true energy", f"{gross} {truth}")
            print(f"# {len(count)} stalls, {loss['steps']} loss of {loss['lost_s'] / PERIOD_S:.1f} samples, {len(good)} of {WINDOWS} windows usable, scatter {1e6 * loss['scatter_s']:.1f} us")
    return tap.done()


sys.exit(main())
