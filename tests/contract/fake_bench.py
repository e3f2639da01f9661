#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A jf-bench without a bench: speaks bench/PROTOCOL.md, measures nothing. For tests of the daemon alone. What it does with an attempt
is asked of the job's label "do": result (default), lossy, fault, jobfault, hang, die, slow, unsafe, silent-cancel; "safe" exits with $FAKE_SAFE."""
import hashlib
import json
import os
import socket
import sys
import time


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def figure(median):
    return {"median": median, "mean": median, "stddev": 0.0, "cv": 0.0, "ci95": [median, median], "u_c": 0.0, "u95": median * 0.01, "k": 2.0, "budget": []}


def main():
    if sys.argv[1] == "safe":
        time.sleep(float(os.environ.get("FAKE_SAFE_S", "0")))
        return int(os.environ.get("FAKE_SAFE", "0"))
    with open(option("--bench-json"), encoding="utf-8") as f:
        bench = json.load(f)
    if os.environ.get("FAKE_NO_START") == bench["name"]:
        return 3
    s = socket.socket(fileno=int(option("--socket-fd")))
    send = lambda **m: s.send(json.dumps(m).encode())  # noqa: E731
    send(type="hello", protocol=1, version="fake", pid=os.getpid(), bench=bench["name"], libraries={})
    send(type="idle")
    while True:
        raw = s.recv(65536)
        if not raw:
            return 0
        m = json.loads(raw)
        if m["type"] in ("bye", "drain"):
            return 0
        if m["type"] == "run":
            if not attempt(s, send, bench, m):
                return 0


def attempt(s, send, bench, m):
    me = {"attempt": m["attempt"], "epoch": m["epoch"]}
    what = m["job"].get("labels", {}).get("do", "result")
    if what == "faulty-scope" and bench["name"] == "scope-a":
        what = "fault"
    spool = os.path.join(option("--spool"), m["attempt"])
    os.makedirs(spool, exist_ok=True)
    log = open(os.path.join(spool, "log.txt"), "a", encoding="utf-8")
    log.write(f"2026-01-01T00:00:00.000Z worker: attempt of {bench['name']}\n")
    log.flush()
    assert os.path.getsize(m["firmware"]["path"]) == m["firmware"]["size_bytes"]
    for stage in ("prepare", "flash", "arm", "run"):
        send(type="stage", stage=stage, **me)
        send(type="progress", stage=stage, fraction=0.5, text=stage, **me)
    send(type="live", current_a=0.01, power_w=0.033, t_s=1.0, **me)
    canceled = False
    if what in ("hang", "slow", "silent-cancel"):
        s.settimeout(0.5 if what == "slow" else None)
        try:
            while not canceled:
                raw = s.recv(65536)
                if not raw:
                    return False
                got = json.loads(raw)
                if got["type"] == "bye":
                    send(type="fault", code="canceled", cause="canceled", text="told to leave", stage="run", **me)
                    send(type="released", safe=True, **me)
                    return False
                canceled = got["type"] == "cancel" and what != "silent-cancel"
        except TimeoutError:
            pass
        s.settimeout(None)
    if what == "die":
        os._exit(9)
    if canceled:
        send(type="fault", code="canceled", cause="canceled", text="canceled on request", stage="run", **me)
    elif what in ("fault", "jobfault"):
        send(type="fault", code="probe-failed" if what == "fault" else "dut-error", cause="infrastructure" if what == "fault" else "job",
             text="the probe refused", stage="flash", part="probe", **me)
    else:
        finish(s, send, m, me, spool, what)
    send(type="stage", stage="release", **me)
    send(type="released", safe=what != "unsafe", text="could not switch the supply off" if what == "unsafe" else "", **me)
    send(type="idle")
    return True


def finish(s, send, m, me, spool, what):
    trace = b"not a trace " + m["attempt"].encode()
    with open(os.path.join(spool, "trace.jft"), "wb") as f:
        f.write(trace)
    lossy = what == "lossy"
    result = {"method": m["job"]["method"], "window_rule": "edge", "verdict": "invalid" if lossy else "valid",
              "reasons": [{"code": "sample-gap", "text": "lost", "windows": [0]}] if lossy else [], "notes": [], "inferences": 10, "windows": 1,
              "energy_per_inference_j": figure(1e-3), "net_energy_per_inference_j": None, "latency_per_inference_s": figure(1e-2), "idle_power_w": None,
              "power_w": {"mean": 0.1, "peak": 0.2}, "stages": None, "supply": {}, "clock": {}, "memory": {"flash_bytes": 1, "ram_bytes": 1}, "provenance": {"tools": {}}}
    doc = {**me, "job": {}, "result": result, "windows": [{"index": 0, "inferences": 10, "from_s": 0.0, "to_s": 0.1, "duration_s": 0.1, "energy_j": 1e-2}],
           "trace": {"path": "trace.jft", "sha256": hashlib.sha256(trace).hexdigest(), "size": len(trace), "duration_s": 1.0}}
    data = json.dumps(doc).encode()
    path = os.path.join(spool, "result.json")
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)
    send(type="stage", stage="store", **me)
    send(type="result", path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), **me)
    while json.loads(s.recv(65536))["type"] != "result_ack":
        pass


sys.exit(main())
