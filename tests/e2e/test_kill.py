#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at every named stage barrier, of jf-bench, of openocd and of joulefarmd. Afterwards: no job is lost, none is done
twice, no lease, port, powered board or child is left, and the cause is recorded."""
import json
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, Tap  # noqa: E402

WORKER_STAGES = ["prepare", "flash", "arm", "run", "analyse", "store", "release"]
DAEMON_POINTS = ["claim", "run-sent", "result-received", "store", "ack", "release"]


def pids(lab, needle, bench=""):
    return [p for p, c in lab.processes().items() if needle in c.split(" ")[0] and " safe" not in c and bench in c]


def wait_for(what, timeout=30.0):
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        v = what()
        if v:
            return v
        time.sleep(0.03)
    return None


def at_barrier(path, timeout=60):
    """A barrier announces itself by a file."""
    return wait_for(lambda: os.path.exists(path), timeout)


def settled(tap, lab, job_id, what, expect_results=1):
    """The job ends by itself, once; nothing of it is left."""
    try:
        job = lab.wait(job_id, 90)
    except TimeoutError as e:
        tap.check(False, f"{what}: the job ends", f"{e}\n{json.dumps(lab.api('GET', '/benches'))}")
        return
    results = lab.results_of(job_id)
    attempts = lab.api("GET", f"/jobs/{job_id}/attempts")["items"]
    tap.check(job["state"] == "done" and len(results) == expect_results, f"{what}: done, exactly one result",
              json.dumps({"job": job, "results": len(results), "attempts": attempts}))
    lost = [a for a in attempts if a["state"] in ("lost", "failed")]
    tap.check(len(attempts) == 1 or all((a.get("cause") or {}).get("text") for a in lost), f"{what}: the cause is recorded", json.dumps(attempts))
    idle = wait_for(lambda: all(b["state"] == "idle" and not b.get("job") for b in lab.api("GET", "/benches")["items"]), 20)
    tap.check(bool(idle), f"{what}: no lease is left", json.dumps(lab.api("GET", "/benches")))
    workers = wait_for(lambda: len(pids(lab, "jf-bench")) == len(lab.benches), 10)
    tap.check(bool(workers) and not pids(lab, "openocd"), f"{what}: one worker a bench, no other child", lab.processes())


def fresh_barrier(path):
    if os.path.exists(path):
        os.unlink(path)
    return path


def kill_worker_at(tap, lab, firmware, stage):
    barrier = fresh_barrier(os.path.join(lab.dir, "barrier"))
    lab.start_daemon(JF_BENCH_BARRIER=stage, JF_BARRIER_FILE=barrier)
    job = lab.submit(firmware, "ppk2-c", windows=1, retries=2)
    if tap.check(bool(at_barrier(barrier)), f"worker at {stage}: the barrier is reached", json.dumps(lab.job(job))):
        for p in pids(lab, "jf-bench", "ppk2-c"):
            os.kill(p, signal.SIGKILL)
    settled(tap, lab, job, f"worker killed at {stage}")
    lab.stop_daemon()


def kill_daemon_at(tap, lab, firmware, point):
    barrier = fresh_barrier(os.path.join(lab.data, "barrier"))
    lab.start_daemon(JF_DAEMON_BARRIER=point)
    job = lab.submit(firmware, "ppk2-c", windows=1, retries=2)
    if tap.check(bool(at_barrier(barrier)), f"daemon at {point}: the barrier is reached"):
        lab.stop_daemon(signal.SIGKILL)
        gone = wait_for(lambda: not pids(lab, "jf-bench") and not pids(lab, "openocd"), 15)
        tap.check(bool(gone), f"daemon killed at {point}: workers end by themselves", lab.processes())
        supply = wait_for(lambda: not lab.benches["ppk2-c"].control(cmd="status")["supply_on"], 10)
        tap.check(bool(supply), f"daemon killed at {point}: the board is not left powered")
        lab.start_daemon()
    settled(tap, lab, job, f"daemon killed at {point}")
    lab.stop_daemon()


def kill_openocd(tap, lab, firmware):
    lab.benches["ppk2-c"].fault("probe-silent")
    lab.start_daemon()
    job = lab.submit(firmware, "ppk2-c", windows=1, retries=2)
    found = wait_for(lambda: pids(lab, "openocd"), 30)
    if tap.check(bool(found), "openocd runs"):
        lab.benches["ppk2-c"].fault("probe-silent", on=False)
        for p in found:
            os.kill(p, signal.SIGKILL)
    settled(tap, lab, job, "openocd killed")
    lab.stop_daemon()


def main():
    tap = Tap()
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="jf-e2e-") as d, Lab(d, ("ppk2-c",)) as lab:
        lab.start_daemon()
        firmware = lab.upload_firmware("ad01")
        lab.stop_daemon()
        for stage in WORKER_STAGES:
            if not only or stage in only:
                kill_worker_at(tap, lab, firmware, stage)
        if not only or "openocd" in only:
            kill_openocd(tap, lab, firmware)
        for point in DAEMON_POINTS:
            if not only or "d:" + point in only:
                kill_daemon_at(tap, lab, firmware, point)
    left = lab.processes()
    tap.check(not left, "nothing is left at the end", left)
    return tap.done()


sys.exit(main())
