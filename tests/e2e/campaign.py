#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign "paper": the four MLPerf Tiny models and the five of "Benchmarking Ultra-Low-Power uNPUs" (untrained, of the same shape), each
uploaded to the farm as a model file, compiled there for the board, measured on whichever virtual bench is free, and compared with the bench's own
truth. Exit status 0: every row is valid; 1: one is not; 2: usage. Nothing outside build/campaign is written; the rows are build/campaign/campaign.json."""
import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import BENCHES, BUILD, FINAL, ROOT, Lab, Problem, match_truth, net_truth, si, truth_energy_per_inference  # noqa: E402

BOARD = "nucleo-h7a3zi-q"
MLPERF = {"ad01": "ad01_int8", "kws01": "kws_ref_model", "ic01": "pretrainedResnet_quant", "vww01": "vww_96_int8"}
PAPER = ("paper_autoencoder", "paper_simplenet", "paper_resnet", "paper_yolo", "paper_nas")
LIMIT_S = 1800  # of the whole campaign


def files_of(models_dir):
    return {**{k: os.path.join(ROOT, "firmware", "models", f"{v}.tflite") for k, v in MLPERF.items()},
            **{k: os.path.join(models_dir, f"{k}.tflite") for k in PAPER}}


def work_of(path):
    """(multiply-accumulates of the layers, weights without biases), from the shapes of `jf-model dump`."""
    p = subprocess.run([os.path.join(BUILD, "jf-model"), "dump", path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if p.returncode:
        raise ValueError(p.stderr.decode("utf-8", "replace").strip())
    macs = weights = 0
    for n in json.loads(p.stdout)["nodes"]:
        if n["op"] not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        w, out = n["inputs"][1]["shape"], n["outputs"][0]["shape"]
        weights += math.prod(w)
        # each output element takes one kernel: rows x columns x input channels; a depthwise one has no input channels
        macs += math.prod(out) * (math.prod(w[1:3]) if n["op"] == "DEPTHWISE_CONV_2D" else math.prod(w[1:]))
    return macs, weights


def fill_row(lab, row, job):
    """The measurement's figures. Called as soon as the job has ended: the truth is looked for from the end of the bench's file."""
    results = lab.results_of(job["id"])
    if not results:
        cause = job.get("cause") or {}
        row["verdict"] = f"{job['state']}: {cause.get('text', '?')}"
        return
    r = lab.api("GET", f"/results/{results[0]['id']}")
    windows = lab.api("GET", f"/results/{r['id']}/windows")["items"]
    gross, net = r.get("energy_per_inference_j") or {}, r.get("net_energy_per_inference_j") or {}
    row.update(result=r["id"], bench=r["bench"], verdict=r["verdict"], reasons=[x["code"] for x in r["reasons"]],
               energy_per_inference_j=gross.get("median"), u95_j=gross.get("u95"), net_energy_per_inference_j=net.get("median"),
               net_u95_j=net.get("u95"), latency_s=(r.get("latency_per_inference_s") or {}).get("median"),
               flash_bytes=r["memory"]["flash_bytes"], ram_bytes=r["memory"]["ram_bytes"], model_sha256=r["model"], numerics=r["numerics"])
    if row["energy_per_inference_j"]:
        row["energy_per_mac_j"] = row["energy_per_inference_j"] / row["macs"]
    bench = lab.benches[r["bench"]]
    run = match_truth(windows, bench.truth("window"))
    if run and row["energy_per_inference_j"]:
        row["truth_energy_j"] = truth_energy_per_inference(windows, run)
        row["relative_error"] = row["energy_per_inference_j"] / row["truth_energy_j"] - 1
        truth = net_truth(windows, run, bench)
        if truth and row["net_energy_per_inference_j"]:
            row["truth_net_energy_j"], row["net_relative_error"] = truth, row["net_energy_per_inference_j"] / truth - 1


def percent(x):
    return "-" if x is None else f"{100 * x:+.4f} %"


def print_table(head, lines):
    print("\n" + head + "\n" + "-" * len(head))
    for line in lines:
        print(line)


def count(n):
    return "-" if n is None else f"{n:,}"


def kib(n):
    return "-" if n is None else f"{n / 1024:.1f} K"


def print_rows(rows):
    print_table(f"{'model':17} {'MACs':>11} {'weights':>8} {'arena':>8} {'flash':>8} {'RAM':>8}",
                [f"{r['model']:17} {count(r['macs']):>11} {count(r['weights']):>8} {kib(r['arena_bytes']):>8} {kib(r['flash_bytes']):>8} {kib(r['ram_bytes']):>8}" for r in rows])
    lines = []
    for r in rows:
        gross, u, net, net_u, mac = (si(r[k], "J") for k in ("energy_per_inference_j", "u95_j", "net_energy_per_inference_j", "net_u95_j", "energy_per_mac_j"))
        lines.append(f"{r['model']:17} {si(r['latency_s'], 's'):>9} {gross:>11} {u:>9} {net:>9} {net_u:>9} {mac:>8}  {r['verdict']:8} {percent(r['relative_error']):>14} "
                     f"{percent(r['net_relative_error']):>10}  {', '.join(r['reasons'])}".rstrip())
    print_table(f"{'model':17} {'latency':>9} {'energy/inf.':>11} {'U95':>9} {'net':>9} {'U95':>9} {'per MAC':>8}  {'verdict':8} {'error vs truth':>14} {'of net':>10}", lines)


def row_of(name):
    keys = ("arena_bytes", "flash_bytes", "ram_bytes", "latency_s", "energy_per_inference_j", "u95_j", "net_energy_per_inference_j", "net_u95_j",
            "energy_per_mac_j", "truth_energy_j", "relative_error", "truth_net_energy_j", "net_relative_error", "bench", "result", "model_sha256", "numerics")
    return {"model": name, "macs": None, "weights": None, **dict.fromkeys(keys), "verdict": "-", "reasons": []}


def submit(lab, name, path, numerics, windows):
    """(model id, job id): upload, then a job for any board of the type; it waits in the farm until the model is compiled."""
    with open(path, "rb") as f:
        model = lab.api("POST", f"/models?name={name}", f.read(), content_type="application/octet-stream")["id"]
    job = {"model": model, "board_type": BOARD, "numerics": numerics, "method": "quick", "windows": windows, "window_s": 0.3, "warmup": 1, "retries": 2,
           "labels": {"campaign": "paper", "model": name}}
    return model, lab.api("POST", "/jobs", job)["id"]


def measure_all(lab, files, a, say):
    began, rows, jobs, told = time.monotonic(), {}, {}, {}
    for name, path in files.items():
        rows[name] = row_of(name)
        try:
            rows[name]["macs"], rows[name]["weights"] = work_of(path)
            jobs[name] = submit(lab, name, path, a.numerics, a.windows)
        except (Problem, ValueError) as e:
            rows[name]["verdict"] = f"refused: {e}"
    while len(told) < len(jobs) or any(told[n] not in FINAL for n in jobs):
        for name, (model, job) in jobs.items():
            if told.get(name) in FINAL:
                continue
            j = lab.job(job)
            state = j["state"] if j["state"] in FINAL else f"{j.get('stage') or j['state']}" + (f" on {j['on_bench']}" if j["state"] == "active" else "")
            if state != told.get(name):
                say(f"  {time.monotonic() - began:6.1f} s  {name:17} {state}")
            told[name] = state
            if state in FINAL:
                builds = [b for b in lab.api("GET", f"/models/{model}")["builds"] if b["board_type"] == BOARD and b["numerics"] == a.numerics]
                rows[name]["arena_bytes"] = builds[0].get("arena_bytes") if builds else None
                fill_row(lab, rows[name], j)
        if time.monotonic() - began > LIMIT_S:
            raise TimeoutError(f"the campaign did not finish within {LIMIT_S // 60} minutes")
        time.sleep(0.25)
    return [rows[n] for n in files], time.monotonic() - began


def arguments():
    """(options, {model: path})"""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--json", action="store_true", help="print the rows and the matrix as JSON, and nothing else")
    ap.add_argument("--model", action="append", choices=[*MLPERF, *PAPER], help="only this model (repeatable)")
    ap.add_argument("--bench", action="append", choices=sorted(BENCHES), help="only this bench (repeatable; default: the two oscilloscopes)")
    ap.add_argument("--numerics", choices=("tflm", "litert"), default="tflm")
    ap.add_argument("--windows", type=int, default=3, help="windows of each measurement, 1 to 64 (3)")
    ap.add_argument("--realistic", action="store_true", help="switch the virtual instruments' errors on")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--stay", action="store_true", help="keep daemon and page after the table, until Ctrl-C")
    ap.add_argument("--models-dir", default=os.path.join(ROOT, "build", "models"), help="where the paper's models lie (build/models)")
    ap.add_argument("--out", default=os.path.join(ROOT, "build", "campaign"), help="the directory to work in; that of an earlier campaign is emptied (build/campaign)")
    a = ap.parse_args()
    files = {n: path for n, path in files_of(a.models_dir).items() if not a.model or n in a.model}
    missing = [n for n, path in files.items() if not os.path.exists(path)]
    if os.path.isdir(a.out) and os.listdir(a.out) and not os.path.exists(os.path.join(a.out, "joulefarm.yaml")):
        ap.error(f"--out {a.out}: there is something else in it")
    if missing or not 1 <= a.windows <= 64:
        ap.error(f"no file for {', '.join(missing)}: `make paper` makes them" if missing else "--windows must be 1 to 64")
    return a, files


def matrix(paths, *options):
    """Of the models that can be read."""
    argv = [os.path.join(BUILD, "jf-model"), "matrix", *options, *paths]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode()


def report(rows, paths, a, took):
    """Prints the tables or the JSON, writes the JSON."""
    doc = {"campaign": "paper", "board_type": BOARD, "virtual": True, "duration_s": took, "rows": rows,
           "matrix": json.loads(matrix(paths, "--json"))["models"] if paths else []}
    with open(os.path.join(a.out, "campaign.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f, indent=1)
        f.write("\n")
    if a.json:
        print(json.dumps(doc, indent=1), flush=True)
        return
    print_rows(rows)
    print("\nMACs and weights of the layers, biases not counted; per MAC: gross energy.")
    if paths:
        print("\nThe same models against every target (jf-model matrix):\n\n" + matrix(paths, "--summary"))


def main():
    a, files = arguments()

    def say(*words):
        print(*words, flush=True, file=sys.stderr if a.json else sys.stdout)

    shutil.rmtree(a.out, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    benches = tuple(a.bench or ("scope-a", "scope-b"))
    say(f"campaign paper: {len(files)} int8 models, numerics {a.numerics}, virtual benches {', '.join(benches)}, method quick, {a.windows} windows")
    with Lab(a.out, benches, realistic=a.realistic, seed=a.seed) as lab:
        lab.start_daemon()
        say(f"the page: {lab.url}/   (log: {os.path.relpath(os.path.join(lab.dir, 'joulefarmd.log'), os.getcwd())})")
        rows, took = measure_all(lab, files, a, say)
        report(rows, [files[r["model"]] for r in rows if r["macs"]], a, took)
        bad = [r for r in rows if r["verdict"] != "valid"]
        say(f"{len(rows) - len(bad)} of {len(rows)} results are valid, {took:.0f} s.")
        if a.stay:
            say(f"The page is at {lab.url}/ until Ctrl-C.")
            signal.pause()
    return 1 if bad else 0


try:
    sys.exit(main())
except KeyboardInterrupt:
    print("\nended", file=sys.stderr)
    sys.exit(130)
