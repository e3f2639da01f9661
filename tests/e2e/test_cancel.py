#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cancel works in every stage, also while openocd or libsigrok blocks; 64 idle event streams cost no CPU."""
import json
import os
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, Tap  # noqa: E402


def cancel_when(tap, lab, firmware, bench, name, ready, limit_s=20, prepare=None, clear=None, **fields):
    if prepare:
        prepare()
    job = lab.submit(firmware, bench, **{"windows": 2, "window_s": 1.0, **fields})
    try:
        lab.wait(job, 60, until=ready)
        began = time.monotonic()
        lab.api("POST", f"/jobs/{job}/cancel", {})
        j = lab.wait(job, limit_s)
        took = time.monotonic() - began
        tap.check(j["state"] == "canceled", f"cancel {name} on {bench}: canceled within {limit_s} s", json.dumps(j))
        print(f"# {name}: {took:.2f} s")
    except TimeoutError as e:
        tap.check(False, f"cancel {name} on {bench}", str(e))
    finally:
        if clear:
            clear()
    end = time.monotonic() + 20
    while time.monotonic() < end and lab.api("GET", f"/benches/{bench}")["state"] != "idle":
        time.sleep(0.1)
    tap.check(lab.api("GET", f"/benches/{bench}")["state"] == "idle", f"cancel {name}: {bench} is idle again", json.dumps(lab.api("GET", f"/benches/{bench}")))


def stage_is(*stages):
    return lambda j: j.get("stage") in stages or j["state"] in ("done", "failed", "canceled")


def mute_in_window(bench):
    """Mutes the scope once a measured window runs; true half a second later, well before the driver calls it stalled."""
    since = []

    def ready(job):
        if not since and bench.control(cmd="status")["window_s"] > 0.5:
            bench.fault("scope-mute")
            since.append(time.monotonic())
        return (since and time.monotonic() - since[0] > 0.5) or job["state"] in ("done", "failed", "canceled")

    return ready


def idle_streams(tap, lab):
    """64 open event streams, nothing happening: the daemon's CPU time over five seconds."""
    conns = []
    for _ in range(64):
        s = socket.create_connection(("127.0.0.1", lab.port))
        s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\nAccept: text/event-stream\r\n\r\n".encode())
        conns.append(s)
    first = conns[0].recv(200)
    tap.check(b"200" in first, "an event stream is answered", first)
    time.sleep(1)

    def cpu_ticks():
        with open(f"/proc/{lab.daemon.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = cpu_ticks()
    time.sleep(5)
    used = (cpu_ticks() - before) / os.sysconf("SC_CLK_TCK")
    tap.check(used < 0.10, "64 idle event streams cost less than 2 % of a core", f"{used} s in 5 s")
    print(f"# 64 idle streams: {used:.3f} s of CPU in 5 s")
    for s in conns:
        s.close()


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jf-e2e-") as d, Lab(d, ("scope-a", "ppk2-c")) as lab:
        lab.start_daemon()
        firmware = lab.upload_firmware("ad01")
        scope, ppk2 = lab.benches["scope-a"], lab.benches["ppk2-c"]
        cancel_when(tap, lab, firmware, "scope-a", "while openocd hangs on a silent probe", stage_is("prepare", "flash"),
                    prepare=lambda: scope.fault("probe-silent"), clear=lambda: scope.fault("probe-silent", on=False))
        cancel_when(tap, lab, firmware, "ppk2-c", "in prepare", stage_is("prepare"))
        cancel_when(tap, lab, firmware, "ppk2-c", "in run", stage_is("run"), window_s=5.0)
        cancel_when(tap, lab, firmware, "scope-a", "in run", stage_is("run"), window_s=5.0)
        cancel_when(tap, lab, firmware, "scope-a", "while the scope is mute and its reader blocks", mute_in_window(scope),
                    clear=lambda: scope.fault("scope-mute", on=False))
        ppk2.fault("uart-silent")
        cancel_when(tap, lab, firmware, "ppk2-c", "while the board is silent", stage_is("run", "arm"), clear=lambda: ppk2.fault("uart-silent", on=False))
        queued = lab.submit(firmware, "ppk2-c")
        waiting = lab.submit(firmware, "ppk2-c")
        lab.api("POST", f"/jobs/{waiting}/cancel", {})
        tap.check(lab.wait(waiting, 5)["state"] == "canceled", "a queued job is canceled at once")
        lab.api("POST", f"/jobs/{queued}/cancel", {})
        lab.wait(queued, 30)
        idle_streams(tap, lab)
    return tap.done()


sys.exit(main())
