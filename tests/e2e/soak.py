#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random jobs, faults, cancels and kills for SOAK_S seconds (600) on three virtual benches, from SOAK_SEED; then everything must be
settled: no job lost, none done twice, no valid number that the bench's truth contradicts, no lease, child, port or powered board
left, and a daemon that has not grown. Prints TAP; `make soak`."""
import collections
import http.client
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import FINAL, MODELS, Lab, Problem, Tap, match_truth, truth_energy_per_inference  # noqa: E402

# fault, parameters, benches ("" any), how long it stays on
FAULTS = [
    ("probe-refuse", {}, "", 3), ("probe-silent", {}, "", 4), ("probe-drop", {"after": 40}, "", 6), ("ap-fault", {}, "", 3),
    ("chip-id", {}, "", 3), ("verify-mismatch", {}, "", 4), ("flash-error", {}, "", 4), ("uart-silent", {}, "", 5),
    ("uart-noise", {"p": 0.02}, "", 4), ("marker-open", {"line": 0}, "", 4), ("marker-open", {"line": 1}, "", 4),
    ("marker-stuck", {"line": 1, "level": 1}, "", 4), ("brown-out", {}, "", 2), ("lockup", {}, "", 2), ("host-stall", {"ms": 1500}, "", 2),
    ("scope-mute", {}, "scope", 5), ("scope-short-block", {}, "scope", 5), ("scope-close", {}, "scope", 3),
    ("ppk2-counter-jump", {"samples": 100}, "ppk2", 2), ("ppk2-counter-jump", {"samples": 128}, "ppk2", 2),
    ("ppk2-lose-bytes", {"bytes": 7}, "ppk2", 2), ("ppk2-stall", {}, "ppk2", 4), ("ppk2-saturate", {}, "ppk2", 3), ("ppk2-unplug", {}, "ppk2", 3),
]
OPEN_MAX = 9  # jobs not yet final
SETTLE_S = 240
TRUTH_REL = 0.005  # twice the demo's bound and a half: short windows
MEMORY_MAX_KIB = 96 * 1024
GROWTH_KIB = 12 * 1024


class Soak:
    def __init__(self, lab, length, seed):
        self.lab, self.rng = lab, random.Random(seed)
        self.length, self.began = length, time.monotonic()
        self.jobs = {}  # id: Idempotency-Key
        self.final = {}
        self.off = []  # (when, bench, fault)
        self.memory = []  # per life of the daemon: [(since its start, VmRSS KiB, descriptors)]
        self.life, self.told = 0.0, collections.Counter()

    def say(self, text):
        print(f"# {time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def api(self, method, path, body=None, **kw):
        """Asked again when the daemon is away: it is killed on purpose."""
        for _ in range(100):
            try:
                return self.lab.api(method, path, body, **kw)
            except (OSError, http.client.HTTPException):
                if self.lab.daemon is None or self.lab.daemon.poll() is not None:
                    raise RuntimeError("the daemon ended by itself") from None
                time.sleep(0.1)
        raise TimeoutError(f"{method} {path} is not answered")

    # ---- what happens ----
    def start(self):
        self.lab.start_daemon()
        self.life = time.monotonic()
        self.memory.append([])

    def submit(self, images):
        bench = self.rng.choice([None, None, *self.lab.benches])
        job = {"firmware": images[self.rng.choice(MODELS)], "method": "quick", "windows": self.rng.choice([1, 1, 2, 3]), "window_s": 0.3, "warmup": 1,
               "retries": self.rng.randrange(3), "priority": self.rng.choice([10, 50, 90]), "timeout_s": 120,
               **({"bench": bench} if bench else {"board_type": "nucleo-h7a3zi-q"})}
        key = str(uuid.UUID(int=self.rng.getrandbits(128)))
        head = {"Idempotency-Key": key}
        first = self.api("POST", "/jobs", job, headers=head)["id"]
        if self.rng.random() < 0.2 and self.api("POST", "/jobs", job, headers=head)["id"] != first:
            self.told["key answered with another job"] += 1
        self.jobs[first] = key
        self.told["submitted"] += 1

    def open_jobs(self):
        for j in [j for j in self.jobs if j not in self.final]:
            doc = self.api("GET", f"/jobs/{j}")
            if doc["state"] in FINAL:
                self.final[j] = doc["state"]
        return [j for j in self.jobs if j not in self.final]

    def fault(self):
        name, params, kind, length = self.rng.choice(FAULTS)
        able = [b for b in self.lab.benches.values() if not kind or b.kind == kind]
        bench = self.rng.choice(able)
        bench.fault(name, **params)
        self.off.append((time.monotonic() + length, bench, name))
        self.told["faults"] += 1
        self.say(f"fault {name} {params} on {bench.name}")

    def clear(self, everything=False):
        now = time.monotonic()
        for entry in [e for e in self.off if everything or e[0] <= now]:
            entry[1].fault(entry[2], on=False)
            self.off.remove(entry)

    def cancel(self):
        left = self.open_jobs()
        if left:
            try:
                self.api("POST", f"/jobs/{self.rng.choice(left)}/cancel", {})
                self.told["cancels"] += 1
            except Problem as e:  # it ended meanwhile
                self.told[f"cancel refused: {e.status}"] += 1

    def kill_child(self):
        which = self.rng.choice(["jf-bench", "openocd"])
        able = [p for p, c in self.lab.processes().items() if os.path.basename(c.split(" ")[0]) == which]
        if able:
            os.kill(self.rng.choice(able), signal.SIGKILL)
            self.told["killed " + which] += 1
            self.say(f"kill -9 {which}")

    def kill_daemon(self):
        sig = self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        self.say(f"joulefarmd gets {signal.Signals(sig).name}")
        self.lab.stop_daemon(sig)
        self.told["daemon killed"] += 1
        self.start()

    def recover(self):
        """What a person at the bench would do after a quarantine."""
        for b in self.api("GET", "/benches")["items"]:
            if b["health"] != "good" or b["state"] in ("offline", "maintenance"):
                try:
                    self.api("POST", f"/benches/{b['name']}/recover", {})
                    self.told["recovered"] += 1
                except Problem:  # not now: asked again in a moment
                    self.told["recovery refused"] += 1

    def watch_memory(self):
        pid = self.lab.daemon.pid
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        self.memory[-1].append((time.monotonic() - self.life, rss, len(os.listdir(f"/proc/{pid}/fd"))))

    def run(self):
        images = {m: self.lab.upload_firmware(m) for m in MODELS}
        now = time.monotonic()
        acts = {self.kill_daemon: (25, 60), self.fault: (2, 9), self.cancel: (8, 25), self.kill_child: (12, 30)}  # apart by, s
        due = {act: now + self.rng.uniform(*span) for act, span in acts.items()}
        next_look = 0.0
        while time.monotonic() - self.began < self.length:
            now = time.monotonic()
            self.clear()
            if now >= next_look:
                self.recover()
                self.watch_memory()
                next_look = now + 1.0
                if len(self.open_jobs()) < OPEN_MAX:
                    self.submit(images)
            for act in [a for a, when in due.items() if when <= now]:
                act()
                due[act] = time.monotonic() + self.rng.uniform(*acts[act])
            time.sleep(0.25)

    def settle(self):
        self.clear(everything=True)
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            self.recover()
            self.watch_memory()
            idle = all(b["state"] == "idle" and b["health"] == "good" for b in self.api("GET", "/benches")["items"])
            if not self.open_jobs() and idle:
                return True
            time.sleep(1)
        return False


def everything(soak, path):
    got, cursor = [], ""
    for _ in range(1000):
        page = soak.api("GET", f"{path}?limit=100" + (f"&cursor={cursor}" if cursor else ""))
        got += page["items"]
        cursor = page["next"]
        if not cursor:
            return got
    raise RuntimeError(f"{path} does not end")


def overlaps(attempts):
    """Pairs of attempts that ran at the same time; attempts of one job, or on one bench."""
    order = sorted(attempts, key=lambda a: a["started_at"])
    return [(a["id"], b["id"]) for a, b in zip(order, order[1:]) if not a["finished_at"] or a["finished_at"] > b["started_at"]]


def check_jobs(tap, soak):
    listed = {j["id"]: j for j in everything(soak, "/jobs")}
    lost = [j for j in soak.jobs if j not in listed or listed[j]["state"] not in FINAL]
    tap.check(not lost, f"no job is lost ({len(soak.jobs)} submitted)", [listed.get(j, j) for j in lost])
    tap.check(set(listed) == set(soak.jobs) and not soak.told["key answered with another job"], "no job was made twice", set(listed) - set(soak.jobs))
    attempts = {j: soak.api("GET", f"/jobs/{j}/attempts")["items"] for j in listed}
    flat = [a for per in attempts.values() for a in per]
    results = everything(soak, "/results")
    per_attempt = collections.Counter(r["attempt"] for r in results)
    good = {a["id"] for a in flat if a["state"] == "succeeded"}
    tap.check(set(per_attempt) == good and all(n == 1 for n in per_attempt.values()), "one result for each attempt that succeeded, none for any other",
              {"results without": set(per_attempt) - good, "attempts without": good - set(per_attempt)})
    running = [a["id"] for a in flat if a["state"] == "running"]
    tap.check(not running, "no attempt is still running", running)
    twice = [p for per in attempts.values() for p in overlaps(per)]
    tap.check(not twice, "no job was worked on twice at a time", twice)
    on_bench = collections.defaultdict(list)
    for a in flat:
        on_bench[a["bench"]].append(a)
    shared = [p for per in on_bench.values() for p in overlaps(per)]
    tap.check(not shared, "no bench had two attempts at a time", shared)
    odd = [j for j, doc in listed.items() if (doc["state"] == "done") != bool(doc["result"]) or
           (doc["state"] == "failed" and not (doc.get("cause") or {}).get("text"))]
    tap.check(not odd, "done means a result, failed means a cause", [listed[j] for j in odd])
    states = collections.Counter(doc["state"] for doc in listed.values())
    tap.check(states["done"] > 0 and soak.told["faults"] > 0, "some jobs were done and some faults happened", dict(states))
    soak.say(f"jobs {dict(states)}, {len(flat)} attempts {dict(collections.Counter(a['state'] for a in flat))}, "
             f"verdicts {dict(collections.Counter(r['verdict'] for r in results))}")
    return results


def check_truth(tap, soak, results):
    bad, seen = [], 0
    truth = {name: b.truth("window") for name, b in soak.lab.benches.items()}
    for r in (r for r in results if r["verdict"] == "valid"):
        doc = soak.api("GET", f"/results/{r['id']}")
        windows = soak.api("GET", f"/results/{r['id']}/windows")["items"]
        run = match_truth(windows, truth[doc["bench"]])
        if not run:
            bad.append(f"{r['id']} on {doc['bench']}: no such windows in the truth")
            continue
        error = doc["energy_per_inference_j"]["median"] / truth_energy_per_inference(windows, run) - 1
        seen += 1
        if not abs(error) < TRUTH_REL:
            bad.append(f"{r['id']} on {doc['bench']}: off by {100 * error:.3f} %, {[x['code'] for x in doc['notes']]}")
    tap.check(not bad, f"every valid number agrees with the truth ({seen} compared)", "\n".join(bad))


def held_ports(lab):
    """Descriptors of workers on serial lines and instruments: {path}."""
    ports = {os.path.realpath(os.path.join(b.dir, n)) for b in lab.benches.values() for n in ("uart", "ppk2")}
    held = set()
    for pid, command in lab.processes().items():
        if "jf-vbench" in command.split(" ")[0]:
            continue
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                held |= {os.readlink(f"/proc/{pid}/fd/{fd}")} & ports
            except OSError:
                pass
    return held


def check_left(tap, soak):
    lab = soak.lab
    held = held_ports(lab)
    tap.check(not held, "no serial line or instrument is held", held)
    kinds = collections.Counter(os.path.basename(c.split(" ")[0]) for c in lab.processes().values())
    n = len(lab.benches)
    tap.check(kinds == {"jf-vbench": n, "jf-bench": n, "joulefarmd": 1}, "one worker a bench, no other child", dict(kinds))
    spool = os.listdir(os.path.join(lab.data, "spool"))
    tap.check(not spool, "no spool directory is left", spool)
    powered = lab.benches["ppk2-c"].control(cmd="status")["supply_on"]
    tap.check(not powered, "the board that the PPK2 feeds is not left powered")
    code = lab.stop_daemon()
    tap.check(code == 0, "joulefarmd ends with status 0", code)
    time.sleep(1)
    left = [c for c in lab.processes().values() if "jf-vbench" not in c.split(" ")[0]]
    tap.check(not left, "no child is left behind it", left)
    (path,) = [os.path.join(lab.data, f) for f in os.listdir(lab.data) if f.endswith((".db", ".sqlite"))]
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    held = db.execute("SELECT bench, attempt FROM lease WHERE state = 'held'").fetchall()
    tap.check(not held, "no lease is held", held)
    tap.check(db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the database is sound")
    db.close()


def check_memory(tap, soak):
    steady = [[m for m in life if m[0] > 5] or life for life in soak.memory if life]
    peaks = [max(m[1] for m in life) for life in steady]
    fds = [max(m[2] for m in life) for life in steady]
    soak.say(f"joulefarmd: peak KiB per life {peaks}, descriptors {fds}")
    tap.check(max(peaks) < MEMORY_MAX_KIB, f"the daemon stays below {MEMORY_MAX_KIB // 1024} MiB", peaks)
    grown = [life[-1][1] - life[len(life) // 2][1] for life in steady]
    tap.check(max(grown) < GROWTH_KIB and max(peaks[len(peaks) // 2:]) < max(peaks[:len(peaks) // 2 + 1]) + GROWTH_KIB,
              "its memory does not grow without bound", {"second half of each life": grown, "peaks": peaks})
    tap.check(max(fds) < 100, "nor do its descriptors", fds)


def main():
    length, seed = float(os.environ.get("SOAK_S", "600")), int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    tap = Tap()
    print(f"# SOAK_S={length:.0f} SOAK_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jf-soak-") as d, Lab(d) as lab:
        soak = Soak(lab, length, seed)
        soak.start()
        soak.run()
        soak.say(f"settling; {dict(soak.told)}")
        if not tap.check(soak.settle(), f"every job ends and every bench is idle within {SETTLE_S} s",
                         json.dumps([lab.api("GET", "/benches")["items"], [lab.job(j) for j in soak.open_jobs()]], indent=1)):
            with open(os.path.join(lab.dir, "joulefarmd.log"), encoding="utf-8", errors="replace") as f:
                print("".join("# " + line for line in f.readlines()[-60:]))
        results = check_jobs(tap, soak)
        check_truth(tap, soak, results)
        check_memory(tap, soak)
        check_left(tap, soak)
    return tap.done()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with the laboratory
try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
