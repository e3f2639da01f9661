#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks: each figure beside a peer that was measured in the same run, or is published. Prints a table and writes
build/bench.json: {"metric": {"value", "unit", "peer", "peer_value", "ratio"}}. Exit status 1 when a figure is missing: nothing here
judges whether a figure is good enough. About six minutes on two cores; --full makes the long capture ten minutes and the longest trace 1e9 samples long."""
import argparse
import contextlib
import datetime
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import bench_kernels  # noqa: E402
from lab import BUILD, FINAL, MODELS, ROOT, Lab, Problem, median  # noqa: E402

SAME = 2_000_000  # samples for joulefarm, sigrok-cli and memcpy alike
LONG = 20_000_000
TICK = os.sysconf("SC_CLK_TCK")
BENCHES = ("scope-a", "scope-b", "ppk2-c")
BEGAN = time.monotonic()


class Figures:
    def __init__(self):
        self.rows, self.wanted = {}, []

    def put(self, name, value, unit, peer, peer_value):
        good = value is not None and value == value
        ratio = value / peer_value if good and peer_value else None
        self.rows[name] = {"value": value if good else None, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}

    def missing(self):
        return [n for n in self.wanted if self.rows.get(n, {}).get("value") is None or self.rows[n]["peer_value"] is None]


def say(text):
    print(f"  {time.monotonic() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


# ---- 1: the measuring pipeline ------------------------------------------------------------------------------------------
def sigrok(directory, samples, out):
    """CPU seconds of one sigrok-cli run over the demo driver: one analogue channel, five logic lines."""
    argv = ["sigrok-cli", "-d", "demo", "-c", "samplerate=1m", "--samples", str(samples), "-C", "A0,D0,D1,D2,D3,D4"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv + (["-o", out] if out else ["-O", "null", "-o", "/dev/null"]), cwd=directory, check=True, timeout=90,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pipeline_run(directory, samples, repeats):
    p = subprocess.run([os.path.join(BUILD, "bench_pipeline"), directory, str(samples), str(repeats)], check=True, timeout=60,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return json.loads(p.stdout)


def pipeline(fig, directory, _args):
    """Samples per second of CPU time. One process each, one thread, so CPU time is what one core needs."""
    say(f"pipeline: {SAME} PPK2 samples through decode, trace file and analysis")
    short, long = pipeline_run(directory, SAME, 7), pipeline_run(directory, LONG, 3)
    say("pipeline: sigrok-cli, the same number of demo samples, to nowhere and to a .sr file")
    path = os.path.join(directory, "peer.sr")
    nowhere = sigrok(directory, SAME, None)
    write = sigrok(directory, SAME, path) - nowhere
    rate, size = SAME / write, os.path.getsize(path) / SAME
    cpu = {k: short[k]["cpu_per_s"] for k in ("pipeline", "write", "analysis", "decode", "memcpy")}
    fig.put("pipeline_samples_per_s", cpu["pipeline"], "1/s", "sigrok-cli writing the same number of demo samples to .sr, less the demo driver's own time", rate)
    fig.put("write_samples_per_s", cpu["write"], "1/s", "sigrok-cli, as above (decode and trace file, without analysis)", rate)
    fig.put("pipeline_against_memcpy", cpu["pipeline"], "1/s", "memcpy of the same words (4 bytes a sample)", cpu["memcpy"])
    fig.put("pipeline_long_samples_per_s", long["pipeline"]["cpu_per_s"], "1/s", f"memcpy of {LONG} words", long["memcpy"]["cpu_per_s"])
    fig.put("decode_samples_per_s", cpu["decode"], "1/s", "memcpy of the same words", cpu["memcpy"])
    fig.put("analysis_against_c_sum", long["analysis"]["cpu_per_s"], "1/s", f"a plain C sum over {LONG} floats in memory", long["c_sum"]["cpu_per_s"])
    fig.put("analysis_samples_per_s", long["analysis"]["cpu_per_s"], "1/s", "a PPK2's stream in real time", 1e5)
    fig.put("trace_bytes_per_sample", long["bytes_per_sample"], "B", "the PPK2's words as they arrive", 4.0)
    fig.put("trace_bytes_against_sr", long["bytes_per_sample"], "B", "sigrok's .sr (demo driver's sine and pattern, which compress better)", size)


# ---- 2: the trace store on the work of its best peer --------------------------------------------------------------------
# the JLS library (https://github.com/jetperch/jls) on two cores, one float32 channel of 1e9 samples, where none is given to measure here
JLS_PUBLISHED = {"samples_per_s": 73e6, "bytes_per_sample": 4.14, "view_s": 0.55e-3, "stats_s": 0.09e-3}


def run_json(*argv):
    p = subprocess.run([str(a) for a in argv], check=True, timeout=600, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return json.loads(p.stdout)


def trace(fig, directory, args):
    """One float32 channel, at growing length; the longest also as converter codes. Each program run is a process of its own."""
    ours, theirs, path = os.path.join(BUILD, "bench_trace"), os.path.join(BUILD, "bench_jls"), os.path.join(directory, "bench.trace")
    lengths = [10**6, 10**7, 10**8] + ([10**9] if args.full else [])
    write, read = {}, {}
    for n in lengths:
        say(f"trace: {n} samples of noise written and read")
        write[n] = run_json(ours, "write", path, n, "noise")
        read[n] = run_json(ours, "read", path)
        os.unlink(path)
    top = lengths[-1]
    say(f"trace: {top} converter codes, and the limits of this machine")
    codes = run_json(ours, "write", path, top, "codes")
    os.unlink(path)
    limits = run_json(ours, "limits", path, min(top, 3 * 10**8))
    os.unlink(path)
    peer, name = dict(JLS_PUBLISHED), "the JLS library, published (write: the best of 54 to 73 MS/s)"
    if args.jls:
        say(f"trace: {top} samples through the JLS library")
        peer, name = {**run_json(theirs, "write", path, top, "noise"), **run_json(theirs, "read", path)}, "the JLS library in this run, the same samples"
        os.unlink(path)
    fig.put("trace_write_samples_per_s", write[top]["samples_per_s"], "1/s", name, peer["samples_per_s"])
    fig.put("trace_write_codes_per_s", codes["samples_per_s"], "1/s", name, peer["samples_per_s"])
    fig.put("trace_write_against_disk", write[top]["samples_per_s"], "1/s", "write() and fsync of the raw floats", limits["raw_write_per_s"])
    fig.put("trace_noise_bytes", write[top]["bytes_per_sample"], "B", name, peer["bytes_per_sample"])
    fig.put("trace_codes_bytes", codes["bytes_per_sample"], "B", name, peer["bytes_per_sample"])
    for n in lengths:
        fig.put(f"trace_view_2000_1e{len(str(n)) - 1}", read[n]["view_s"], "s", name, peer["view_s"])
        fig.put(f"trace_stats_1e{len(str(n)) - 1}", read[n]["stats_s"], "s", name, peer["stats_s"])
    fig.put("trace_open", read[top]["open_s"], "s", f"the same at {lengths[0]} samples", read[lengths[0]]["open_s"])
    fig.put("trace_write_memory", write[top]["peak_kib"] / 1024, "MiB", "limit, whatever the length (16 MiB of it are the samples made)", 64.0)
    fig.put("trace_read_memory", read[top]["peak_kib"] / 1024, "MiB", "limit, whatever the length", 64.0)


# ---- what the laboratory is asked -----------------------------------------------------------------------------------------
def events(lab, after):
    got = []
    for _ in range(1000):
        items = lab.api("GET", f"/events?after={after}&limit=100")["items"]
        got += items
        if len(items) < 100:
            return got
        after = items[-1]["seq"]
    raise RuntimeError("the event log does not end")


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def last_seq(lab):
    return max([e["seq"] for e in events(lab, 0)] or [0])


def until_idle(lab, name, timeout=30):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        b = lab.api("GET", f"/benches/{name}")
        if b["state"] == "idle" and not b.get("job"):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{name} is not idle after {timeout} s")


def pids(lab, program):
    """Living processes of the laboratory by program name: {pid: command line}."""
    return {p: c for p, c in lab.processes().items() if os.path.basename(c.split(" ")[0]) == program}


# ---- 3: memory of a worker during a long capture ------------------------------------------------------------------------
def status_kib(pid, *keys):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        lines = dict(line.split(":", 1) for line in f)
    return [int(lines[k].split()[0]) for k in keys]


def memory(fig, directory, args):
    length = 600 if args.full else 60
    with Lab(os.path.join(directory, "memory"), ("ppk2-c",)) as lab:
        lab.start_daemon()
        job = lab.submit(lab.upload_firmware("kws01"), "ppk2-c", windows=1, window_s=float(length), timeout_s=length + 300)
        say(f"memory: one window of {length} s on ppk2-c")
        lab.wait(job, 60, until=lambda j: j.get("stage") == "run" or j["state"] in FINAL)
        (worker,) = [p for p, c in pids(lab, "jf-bench").items() if " safe" not in c]
        rss, peak, end = [], 0, time.monotonic() + length + 120
        while time.monotonic() < end and lab.job(job)["state"] not in FINAL:
            now, peak = status_kib(worker, "VmRSS", "VmHWM")
            rss.append((time.monotonic(), now))
            time.sleep(0.5)
        state = lab.wait(job, 10)
        peak = max(peak, *status_kib(worker, "VmHWM"))
        (result,) = lab.results_of(job)
        trace = lab.api("GET", "/traces/" + lab.api("GET", f"/results/{result['id']}")["trace"])
        if result["verdict"] != "valid":
            raise RuntimeError(f"the long capture ended {result['verdict']}: {state}")
    # growth: from a quarter of the capture to the last value of the run, so that buffers that fill once are not growth
    quarter = rss[0][0] + 0.25 * (rss[-1][0] - rss[0][0])
    early = [v for t, v in rss if t < quarter][-1]
    fig.put("worker_memory_peak", peak / 1024, "MiB", "limit for a worker", 64.0)
    fig.put("worker_memory_growth", (rss[-1][1] - early) / 1024, "MiB", "size of the trace that was written", trace["size_bytes"] / 2**20)


# ---- 4: queue to claimed -------------------------------------------------------------------------------------------------
def fsync_s(directory, count=50):
    took = []
    with open(os.path.join(directory, "sync"), "wb", buffering=0) as f:
        for _ in range(count):
            t = time.monotonic()
            f.write(bytes(4096))
            os.fsync(f.fileno())
            took.append(time.monotonic() - t)
    return median(took)


def claim(fig, directory, _args, count=30):
    with Lab(os.path.join(directory, "claim")) as lab:
        lab.start_daemon()
        firmware, delay, posts = lab.upload_firmware("ad01"), [], []
        for name in BENCHES:
            until_idle(lab, name, 60)
        say(f"claim: {count} jobs for idle benches, each canceled once it is claimed")
        end = time.monotonic() + 75
        for i in range(count):
            name = BENCHES[i % len(BENCHES)]
            until_idle(lab, name)
            t = time.monotonic()
            job = lab.submit(firmware, name)
            posts.append(time.monotonic() - t)
            lab.wait(job, 20, until=lambda j: j["state"] != "queued")
            lab.api("POST", f"/jobs/{job}/cancel", {})
            if time.monotonic() > end:
                break
        made, claimed = {}, {}
        for e in events(lab, 0):
            (made if e["type"] == "job.created" else claimed if e["type"] == "job.claimed" else {})[e.get("job")] = seconds(e["time"])
        delay = [claimed[j] - made[j] for j in made if j in claimed]
        for name in BENCHES:
            until_idle(lab, name)
    if len(delay) < 10:
        raise RuntimeError(f"only {len(delay)} claims within the time")
    say(f"claim: {len(delay)} claims")
    lava = "LAVA's scheduler loop, as published: a pass about every 20 s"
    fig.put("claim_latency_median", median(delay), "s", lava, 20.0)
    fig.put("claim_latency_worst", max(delay), "s", lava, 20.0)
    fig.put("post_job_median", median(posts), "s", "writing and syncing 4 KiB on the same file system", fsync_s(directory))


# ---- 5: turn-around ------------------------------------------------------------------------------------------------------
def stages_of(log, bench):
    """[(job, {stage: seconds})] in order of claiming; "idle" is the time from the end of release to the next claim."""
    marks = {}
    for e in log:
        if e.get("bench") == bench and e["type"] in ("job.claimed", "job.stage"):
            marks.setdefault(e["job"], []).append((seconds(e["time"]), e["stage"]))
    jobs = sorted(marks.items(), key=lambda kv: kv[1][0])
    spans = []
    for (job, m), (_, after) in zip(jobs, jobs[1:]):
        ends = [t for t, _ in m[1:]] + [after[0][0]]
        spans.append((job, {}))
        for (t, stage), to in zip(m, ends):
            spans[-1][1][stage] = spans[-1][1].get(stage, 0.0) + to - t
    return spans


def turnaround(fig, directory, _args, count=4):
    """count jobs wait for each bench, two images in turn so that each job flashes. A job's share is the time from its claim to the next
    job's claim on that bench; what is beyond its stages flash and run is counted: claim, prepare, arm, analyse, and store, which here
    lasts until the next claim: the release leaves no event of its own."""
    with Lab(os.path.join(directory, "turnaround"), ("scope-a", "ppk2-c")) as lab:
        lab.start_daemon()
        images = [lab.upload_firmware("ad01"), lab.upload_firmware("kws01")]
        say(f"turn-around: {count} jobs in the queue of each of two benches")
        jobs = {b: [lab.submit(images[i % 2], b, windows=3) for i in range(count)] for b in ("scope-a", "ppk2-c")}
        for b in jobs:
            for j in jobs[b]:
                state = lab.wait(j, 75)
                if state["state"] != "done":
                    raise RuntimeError(f"a job of the turn-around ended {state['state']}: {state.get('cause')}")
        log = events(lab, 0)
    for bench, short in (("scope-a", "scope"), ("ppk2-c", "ppk2")):
        spans = [s for _, s in stages_of(log, bench)]
        stages = sorted({k for s in spans for k in s}, key=["claim", "prepare", "flash", "arm", "run", "analyse", "store", "release"].index)
        say(f"turn-around on {bench}: " + ", ".join(f"{k} {median([s.get(k, 0) for s in spans]):.3f}" for k in stages) + " s (medians)")
        work = [s["flash"] + s["run"] for s in spans]
        fig.put(f"turnaround_{short}", median([sum(s.values()) - w for s, w in zip(spans, work)]), "s",
                "flash and run of the same jobs (median)", median(work))


# ---- 6: CPU of three busy benches ---------------------------------------------------------------------------------------
def cpu_ticks(pid):
    """(own, of children waited for)"""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        x = f.read().rsplit(")", 1)[1].split()
    return int(x[11]) + int(x[12]), int(x[13]) + int(x[14])


def cpu_sample(lab):
    """CPU seconds by kind of process. openocd is what the workers have waited for, and what of it lives now."""
    used = {"jf-vbench": 0, "jf-bench": 0, "joulefarmd": 0, "openocd": 0}
    for kind in used:
        for p in pids(lab, kind):
            own, children = cpu_ticks(p)
            used[kind] += own
            used["openocd"] += children if kind == "jf-bench" else 0
    return {k: v / TICK for k, v in used.items()}


def cpu(fig, directory, _args, length=60.0):
    with Lab(os.path.join(directory, "cpu")) as lab:
        lab.start_daemon()
        images = [lab.upload_firmware(m) for m in MODELS]
        # more than a minute's work, with long windows, so that the boards compute; nobody polls meanwhile
        jobs = [lab.submit(images[i % len(images)], b, window_s=3.0, retries=2) for i in range(6) for b in BENCHES]
        say(f"cpu: three busy benches for {length:.0f} s")
        time.sleep(10)
        slips = [b.control(cmd="status")["slips"] for b in lab.benches.values()]
        workers, t0, before = set(pids(lab, "jf-bench")), time.monotonic(), cpu_sample(lab)
        time.sleep(length)
        after, took, same = cpu_sample(lab), time.monotonic() - t0, workers == set(pids(lab, "jf-bench"))
        slipped = [b.control(cmd="status")["slips"] - s for b, s in zip(lab.benches.values(), slips)]
        done = [lab.job(j)["state"] for j in jobs]
        retried = sum(max(0, lab.job(j)["attempts"] - 1) for j in jobs)
        busy = all(any(s not in FINAL for s in done[k::len(BENCHES)]) for k in range(len(BENCHES)))
        for j, state in zip(jobs, done):
            if state not in FINAL:
                with contextlib.suppress(Problem):  # it may end just now
                    lab.api("POST", f"/jobs/{j}/cancel", {})
    say(f"cpu: {done.count('done')} jobs done, {done.count('failed')} failed, {retried} retried; virtual time slipped {sum(slipped)} times")
    if not same or not busy or not done.count("done"):
        raise RuntimeError("a worker was restarted, or a bench was not busy to the end: the CPU figures mean nothing")
    cores = float(os.cpu_count() or 1)
    share = {k: (after[k] - before[k]) / took for k in after}
    for k in share:
        fig.put("cpu_" + k.replace("-", "_"), share[k], "cores", "cores of this machine", cores)
    fig.put("cpu_three_benches", sum(share.values()), "cores", "cores of this machine", cores)
    fig.put("cpu_without_the_virtual_boards", sum(share.values()) - share["jf-vbench"], "cores", "cores of this machine", cores)


GROUPS = {
    "kernels": (bench_kernels.kernels, bench_kernels.NAMES),
    "pipeline": (pipeline, ["pipeline_samples_per_s", "write_samples_per_s", "pipeline_against_memcpy", "pipeline_long_samples_per_s",
                            "decode_samples_per_s", "analysis_samples_per_s", "analysis_against_c_sum", "trace_bytes_per_sample", "trace_bytes_against_sr"]),
    "trace": (trace, ["trace_write_samples_per_s", "trace_write_codes_per_s", "trace_write_against_disk", "trace_noise_bytes", "trace_codes_bytes",
                      "trace_view_2000_1e6", "trace_view_2000_1e8", "trace_stats_1e6", "trace_stats_1e8", "trace_open", "trace_write_memory",
                      "trace_read_memory"]),
    "memory": (memory, ["worker_memory_peak", "worker_memory_growth"]),
    "claim": (claim, ["claim_latency_median", "claim_latency_worst", "post_job_median"]),
    "turnaround": (turnaround, ["turnaround_scope", "turnaround_ppk2"]),
    "cpu": (cpu, ["cpu_jf_vbench", "cpu_jf_bench", "cpu_joulefarmd", "cpu_openocd", "cpu_three_benches", "cpu_without_the_virtual_boards"]),
}


def text_of(v):
    if v is None:
        return "missing"
    return f"{v / 1e6:.2f} M" if abs(v) >= 1e6 else f"{v / 1e3:.1f} k" if abs(v) >= 1e4 else f"{v:.3g}"


def print_table(fig):
    print(f"\n{'metric':32} {'value':>10} {'unit':6} {'peer':>10} {'ratio':>9}  peer is")
    for name, r in fig.rows.items():
        print(f"{name:32} {text_of(r['value']):>10} {r['unit']:6} {text_of(r['peer_value']):>10} {'-' if r['ratio'] is None else format(r['ratio'], '.3g'):>9}  {r['peer']}")
    print("\nturnaround: from a job's claim to the next claim on the same bench, less the stages flash and run; what is left is the daemon's\n"
          "own way, prepare, arm, analyse, and store with the release after it. claim_latency: from the job's creation (before the POST is answered) to its claim.\n"
          "cpu: CPU seconds a second over a busy minute, windows of 3 s. sigrok-cli rewrites its archive as it grows: its rate falls with the number of samples.")


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--json", action="store_true", help="print the JSON document instead of the table")
    ap.add_argument("--only", action="append", choices=list(GROUPS), help="only this group (repeatable); build/bench.json is left alone")
    ap.add_argument("--full", action="store_true", help="the long capture lasts ten minutes, the longest trace has 1e9 samples")
    ap.add_argument("--jls", action="store_true", help="measure the JLS library too (build/bench_jls, made by make bench JLS=DIR)")
    a = ap.parse_args()
    fig = Figures()
    with tempfile.TemporaryDirectory(prefix="jf-bench-") as d:
        for name in a.only or GROUPS:
            run, names = GROUPS[name]
            fig.wanted += names
            try:
                run(fig, d, a)
            except Exception as e:  # noqa: BLE001 - reported as missing figures below
                say(f"{name}: {e!r}")
    if a.json:
        print(json.dumps(fig.rows, indent=1))
    else:
        print_table(fig)
    if not a.only:
        with open(os.path.join(ROOT, "build", "bench.json"), "w", encoding="utf-8") as f:
            json.dump(fig.rows, f, indent=1)
            f.write("\n")
    if fig.missing():
        print(f"bench: no figure for {', '.join(fig.missing())}", file=sys.stderr)
    return 1 if fig.missing() else 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
