#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""joulefarmd with workers that measure nothing: submission, retries, cancel, lost workers, kill -9 at every named point of the daemon,
event streams, clean end. What a job must end in follows from the design's state machines, not from the daemon."""
import http.client
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, ROOT, Farm, Tap, elf  # noqa: E402

tap = Tap()


def check_config():
    run = lambda f: subprocess.run([os.path.join(BUILD, "joulefarmd"), "--check-config", f], cwd=ROOT, capture_output=True, text=True)  # noqa: E731
    for f in ("config/demo.yaml", "config/nucleo-ppk2.yaml"):
        p = run(f)
        tap.check(p.returncode == 0, f"{f} has no mistake", p.stderr)
    with Farm() as farm:
        with open(farm.config, encoding="utf-8") as f:
            text = f.read()
        bad = text.replace("st-link-tcp", "st-lnk", 1).replace("baud: 115200", "baud: fast", 1).replace("name: scope-b", "name: scope-a").replace("    limits: {v_min: 3.0}", "    limit: {v_min: 3.0}", 1)
        with open(farm.config, "w", encoding="utf-8") as f:
            f.write(bad)
        p = run(farm.config)
        lines = bad.splitlines()
        at = lambda what: next(i for i, s in enumerate(lines, 1) if what in s)  # noqa: E731
        for what, field in (("st-lnk", "benches[0].probe.adapter"), ("baud: fast", "benches[0].uart.baud"), ("limit: {", "benches[0].limit")):
            tap.check(f"{farm.config}:{at(what)}:" in p.stderr and field + ":" in p.stderr, f"check-config names {field} and its line", p.stderr)
        tap.check("benches[1].name:" in p.stderr and p.returncode == 1, "check-config finds the name used twice, exit 1", p.stderr)


def submission(farm):
    tap.check(farm.ready("scope-a", "scope-b", "ppk2-c"), "three benches become idle", farm.text())
    second = subprocess.run([os.path.join(BUILD, "joulefarmd"), "--config", farm.config], env=farm.env, cwd=ROOT, capture_output=True, text=True)
    tap.check(second.returncode == 1 and "in use" in second.stderr, "a second daemon on the same data is refused", second.stderr)
    job = farm.wait(farm.submit())
    tap.check(job["state"] == "done" and job["result"], "a job is done and has a result", job)
    status, r = farm.api("GET", f"/results/{job['result']}")
    tap.check(status == 200 and r["verdict"] == "valid" and r["job"] == job["id"] and r["energy_per_inference_j"]["median"] == 1e-3, "the result is the worker's", r)
    tap.check(r["provenance"]["tools"].get("joulefarmd") and r["labels"] == {"do": "result"}, "the daemon adds its version and the job's labels", r)
    tap.check(farm.api("GET", f"/results/{job['result']}/windows")[1]["items"][0]["energy_j"] == 1e-2, "its windows are stored")
    status, _, log = farm.request("GET", f"/api/v1/attempts/{job['attempt']}/log?offset=5")
    tap.check(status == 200 and b"attempt of" in log and not log.startswith(b"2026"), "the log is kept and read from an offset", log)
    trace = farm.request("GET", f"/api/v1/traces/{r['trace']}/content")
    tap.check(trace[0] == 200 and trace[2].startswith(b"not a trace"), "the trace file lies under its hash", trace[:2])
    body = {"firmware": farm.firmware(), "bench": "scope-a"}
    one, two = (farm.api("POST", "/jobs", body, {"Idempotency-Key": "k1"}) for _ in range(2))
    tap.check(one == two and one[0] == 201, "the same key and body give the first answer", (one, two))
    tap.check(farm.api("POST", "/jobs", {**body, "windows": 6}, {"Idempotency-Key": "k1"})[0] == 409, "the same key with another body is a conflict")
    status, head, _ = farm.request("GET", f"/api/v1/jobs/{job['id']}")
    tap.check(farm.request("GET", f"/api/v1/jobs/{job['id']}", headers={"If-None-Match": head["ETag"]})[0] == 304, "ETag answers 304")
    for _ in range(4):
        farm.submit()
    seen, cursor = [], ""
    while cursor is not None:
        page = farm.api("GET", "/jobs?limit=2" + (f"&cursor={cursor}" if cursor else ""))[1]
        seen += [j["id"] for j in page["items"]]
        cursor = page["next"]
    tap.check(len(seen) == len(set(seen)) == 6 and seen == sorted(seen, reverse=True), "pages hold every job once, newest first", seen)
    again = farm.api("POST", f"/jobs/{one[1]['id']}/resubmit")
    tap.check(again[0] == 201 and again[1]["bench"] == "scope-a" and again[1]["id"] != one[1]["id"], "resubmit", again)
    tap.check(farm.until(lambda: not farm.api("GET", "/jobs?state=queued")[1]["items"] and not farm.api("GET", "/jobs?state=active")[1]["items"]), "the queue runs empty")


def retries(farm):
    job = farm.wait(farm.submit("lossy", retries=1))
    results = farm.api("GET", f"/results?job={job['id']}")[1]["items"]
    tap.check(job["state"] == "done" and len(results) == 2 and len({r["bench"] for r in results}) == 2, "lost samples: again on another unit, both results kept", (job, results))
    job = farm.wait(farm.submit("faulty-scope", retries=1, priority=100))
    tap.check(job["state"] == "done" and job["on_bench"] != "scope-a", "an infrastructure failure is retried on another unit", job)
    job = farm.wait(farm.submit("jobfault", retries=3))
    tap.check(job["state"] == "failed" and job["attempts"] == 1 and job["cause"]["class"] == "job", "a failure of the job is not retried", job)
    for name in ("scope-a", "scope-b", "ppk2-c"):
        farm.wait(farm.submit(bench=name))  # a result ends a bench's row of failures
    job = farm.wait(farm.submit("die", retries=3), 60)
    attempts = farm.api("GET", f"/jobs/{job['id']}/attempts")[1]["items"]
    tap.check(job["state"] == "failed" and {a["state"] for a in attempts} == {"lost"} and job["cause"]["class"] == "infrastructure", "a job that kills its workers fails in the end", (job, attempts))
    tap.check(farm.ready("scope-a", "scope-b", "ppk2-c"), "their benches recover", farm.text())
    job = farm.wait(farm.submit("unsafe", bench="ppk2-c"))
    tap.check(job["state"] == "done", "a failed release leaves the job done", job)
    tap.check(farm.ready("ppk2-c"), "and the bench recovers", farm.bench("ppk2-c"))
    events = farm.api("GET", "/events?after=0&limit=500")[1]["items"]
    states = [e["state"] for e in events if e["type"] == "bench.state" and e["bench"] == "ppk2-c"]
    tap.check("recovering" in states, "it was recovering between", states)
    for _ in range(3):
        farm.wait(farm.submit("fault", bench="scope-b", retries=0))
    b = farm.until(lambda: farm.bench("scope-b")["health"] == "bad" and farm.bench("scope-b"))
    tap.check(b and "probe" in b["reason"], "three infrastructure failures in a row quarantine the bench, with the evidence", farm.bench("scope-b"))
    waiting = farm.submit(bench="scope-b")
    time.sleep(0.5)
    tap.check(farm.job(waiting)["state"] == "queued", "a quarantined bench takes no job")
    tap.check(farm.api("POST", "/benches/scope-b/recover")[0] == 202 and farm.wait(waiting)["state"] == "done", "recover puts it back in service", farm.text())


def cancel(farm):
    hang = farm.submit("hang", bench="scope-a")
    queued = farm.submit(bench="scope-a")
    farm.until(lambda: farm.job(hang)["stage"] == "run")
    tap.check(farm.job(queued)["position"] == 1, "a queued job knows its position")
    status, j = farm.api("POST", f"/jobs/{queued}/cancel")
    tap.check(status == 202 and j["state"] == "canceled", "a queued job is canceled at once", j)
    tap.check(farm.api("POST", f"/jobs/{queued}/cancel")[0] == 409, "a terminal job cannot be canceled")
    began = time.monotonic()
    tap.check(farm.api("POST", f"/jobs/{hang}/cancel")[0] == 202 and farm.wait(hang)["state"] == "canceled" and time.monotonic() - began < 3, "an active job is canceled by its worker", farm.job(hang))
    stubborn = farm.submit("silent-cancel", bench="scope-a")
    farm.until(lambda: farm.job(stubborn)["stage"] == "run")
    status, doc = farm.api("POST", "/jobs/cancel", {"ids": [stubborn, "nobody", hang]})
    tap.check(status == 202 and [("state" in i, i.get("problem", {}).get("code")) for i in doc["items"]] == [(True, None), (False, "not-found"), (False, "conflict")], "bulk cancel answers per id", doc)
    tap.check(farm.wait(stubborn, 30)["state"] == "canceled", "a worker that ignores cancel is ended", farm.text())
    tap.check(farm.ready("scope-a"), "and its bench recovers")
    tap.check(farm.api("POST", "/benches/scope-a/maintenance")[0] == 202 and farm.until(lambda: farm.bench("scope-a")["state"] == "maintenance"), "maintenance", farm.bench("scope-a"))
    tap.check(farm.api("POST", "/benches/scope-a/recover")[0] == 202 and farm.ready("scope-a"), "back in service", farm.text())


def stream(farm, headers, path="/api/v1/events"):
    c = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=20)
    c.request("GET", path, headers={"Accept": "text/event-stream", **headers})
    return c, c.getresponse()


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def events(farm):
    everything = farm.api("GET", "/events?after=0&limit=500")[1]["items"]
    tap.check([e["seq"] for e in everything] == list(range(1, len(everything) + 1)), "event numbers have no gap")
    c, r = stream(farm, {"Last-Event-ID": "2"})
    ids = []
    while len(ids) < 10:
        line = r.readline().decode()
        if line.startswith("id: "):
            ids.append(int(line[4:]))
    tap.check(ids == list(range(3, 13)), "a stream goes on after Last-Event-ID", ids)
    c.close()
    c, r = stream(farm, {})
    farm.submit(bench="scope-a")
    kinds = set()
    until = time.monotonic() + 10
    while time.monotonic() < until and not {"live", "job.done"} <= kinds:
        line = r.readline().decode().strip()
        kinds.add(line[7:] if line.startswith("event: ") else json.loads(line[6:]).get("type") if line.startswith("data: ") else "")
    tap.check({"live", "progress", "job.created", "job.done"} <= kinds, "a stream carries live, progress and stored events", kinds)
    c.close()
    began, line = time.monotonic(), b""
    c, r = stream(farm, {})
    while line != b": heartbeat\n" and time.monotonic() - began < 18:
        line = r.readline()
    tap.check(line == b": heartbeat\n", "a heartbeat within 15 s", line)
    c.close()
    streams = [stream(farm, {}) for _ in range(64)]
    for _, r in streams:
        r.readline()
    time.sleep(0.3)
    before = cpu_s(farm.proc.pid)
    time.sleep(3)
    used = cpu_s(farm.proc.pid) - before
    tap.check(used <= 0.06, f"64 idle streams cost no CPU ({used:.2f} s in 3 s)", used)
    for c, _ in streams:
        c.close()


def stream_limit():
    with Farm(("scope-a",), "  max_streams: 2\n") as farm:
        farm.start()
        kept = [stream(farm, {}) for _ in range(2)]
        c, r = stream(farm, {})
        doc = json.loads(r.read())
        tap.check(r.status == 503 and doc["code"] == "full" and "2 event streams" in doc["detail"], "one stream too many gets a clear problem", doc)
        for k, _ in kept + [(c, r)]:
            k.close()
        kept = [stream(farm, {}) for _ in range(1)]
        code = farm.stop()
        tap.check(code == 0, "an open stream does not keep the daemon from ending", code)


def ending(farm):
    job = farm.submit("hang", bench="scope-a")
    farm.until(lambda: farm.job(job)["stage"] == "run")
    last = farm.api("GET", "/events?after=0&limit=500")[1]["next"]
    code = farm.stop()
    tap.check(code == 0 and not farm.processes(), "SIGTERM: exit 0 and no process is left", (code, farm.processes()))
    farm.start()
    j = farm.job(job)
    tap.check(j["state"] in ("queued", "active") and j["attempts"] >= 1, "the job it worked on is not lost", j)
    more = farm.api("GET", f"/events?after={last}&limit=500")[1]["items"]
    tap.check(more and more[0]["seq"] == last + 1, "event numbers go on after a restart", more[:2])
    farm.api("POST", f"/jobs/{job}/cancel")
    tap.check(farm.wait(job)["state"] == "canceled", "and can be canceled", farm.text())


def kill_walk():
    for point in ("claim", "run-sent", "result-received", "store", "ack", "release"):
        with Farm(("scope-a",)) as farm:
            farm.start(JF_DAEMON_BARRIER=point)
            job = farm.submit()
            mark = os.path.join(farm.data, "barrier")
            reached = farm.until(lambda: os.path.exists(mark))
            farm.stop(signal.SIGKILL)
            farm.start()
            j = farm.wait(job, 40)
            results = farm.api("GET", f"/results?job={job}")[1]["items"]
            attempts = farm.api("GET", f"/jobs/{job}/attempts")[1]["items"]
            good = reached and j["state"] == "done" and len(results) == 1 and farm.ready("scope-a")
            tap.check(good, f"kill -9 at {point}: done once", (reached, j, results, farm.text()))
            lost = [a for a in attempts if a["state"] == "lost"]
            tap.check(all(a["cause"]["class"] == "infrastructure" for a in lost) and len(attempts) - len(lost) == 1, f"kill -9 at {point}: the cause is recorded", attempts)
            farm.stop()
            left = os.listdir(os.path.join(farm.data, "spool"))
            tap.check(not farm.processes() and len([x for x in left if any(a["id"] == x and a["state"] == "lost" for a in attempts)]) == 0, f"kill -9 at {point}: no process, no spool left", (farm.processes(), left))


def unsafe_start():
    with Farm(("scope-a",)) as farm:
        farm.start(FAKE_SAFE="1")
        farm.ready("scope-a")
        farm.wait(farm.submit("unsafe"))
        b = farm.until(lambda: farm.bench("scope-a")["health"] == "bad" and farm.bench("scope-a"))
        tap.check(b and b["state"] == "offline" and "safe state" in b["reason"], "a safe state that cannot be confirmed quarantines the bench", farm.bench("scope-a"))


def bench_taken_out():
    with Farm(("scope-a", "scope-b")) as farm:
        farm.start()
        farm.ready("scope-a", "scope-b")
        farm.api("POST", "/benches/scope-b/maintenance")
        farm.until(lambda: farm.bench("scope-b")["state"] == "maintenance")
        before = cpu_s(farm.proc.pid)
        job, other = farm.submit(bench="scope-b"), farm.submit(bench="scope-a")
        tap.check(farm.wait(other)["state"] == "done", "the other bench works on")
        time.sleep(2)
        tap.check(cpu_s(farm.proc.pid) - before < 0.2, "a bench in maintenance costs no CPU", cpu_s(farm.proc.pid) - before)
        farm.stop()
        with open(farm.config, encoding="utf-8") as f:
            text = f.read()
        with open(farm.config, "w", encoding="utf-8") as f:
            f.write(text[:text.index("  - name: scope-b")])
        farm.start()
        j = farm.wait(job)
        tap.check(j["state"] == "failed" and "no longer configured" in j["cause"]["text"], "a job for a bench that was taken out fails with its cause", j)


def refused_firmware(farm):
    for what, image in (("garbage", b"\x00" * 100), ("empty", b""), ("truncated", elf()[:100]), ("x86", elf(machine=62)), ("64 bit", elf(cls=2)), ("object file", elf(kind=1)), ("big endian", elf(data=2))):
        status, doc = farm.api("POST", "/firmware", image)
        tap.check(status == 400 and doc["code"] == "malformed", f"firmware refused: {what}", doc)
    far = farm.api("POST", "/firmware", elf(address=0x90000000))[1]["id"]
    status, doc = farm.api("POST", "/jobs", {"firmware": far, "bench": "scope-a"})
    tap.check(status == 422 and doc["pointer"] == "/firmware", "an image outside the board's memory is refused at job time", doc)


check_config()
with Farm() as f:
    f.start()
    submission(f)
    refused_firmware(f)
    retries(f)
    cancel(f)
    events(f)
    ending(f)
stream_limit()
unsafe_start()
bench_taken_out()
kill_walk()
sys.exit(tap.done())
