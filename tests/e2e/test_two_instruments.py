#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two instruments, one time: current from a PPK2 that sees one marker line, all five lines from a logic analyzer through libsigrok's own
`beaglelogic` driver, with a clock of its own: 100 ppm off, 40 ms late, 1 % of the edges lost. The fitted line is compared with the virtual bench's truth about
both clocks, the energies with its truth about the windows; then the same with an oscilloscope. JF_ALIGN_S: seconds between the first and the last train (default short)."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import BUILD, Lab, ROOT, Tap  # noqa: E402

LOGIC = """
    logic:
      driver: sigrok
      sigrok_driver: beaglelogic
      conn: tcp-raw/127.0.0.1/${JF_C_LOGIC}
      scan: {logic_channels: 8}
      rate_hz: 1000000
      clock_ppm: 100
      mapping:
        markers: [P8_45, P8_46, P8_43, P8_44, P8_41]
"""
CELL_S = 1e-5  # of the PPK2, the slower of the two
RATE_ERROR = 100e-6
SKEW_S = 0.04


def config(directory, benches):
    """The demo's PPK2 bench and its first oscilloscope bench, each with one marker line of its own and a logic analyzer."""
    with open(os.path.join(ROOT, "config", "demo.yaml"), encoding="utf-8") as f:
        head, *items = f.read().split("\n  - name: ")
    out = [head]
    for name, letter in ((n, {"scope-a": "A", "ppk2-c": "C"}[n]) for n in benches):
        item = next(i for i in items if i.startswith(name))
        assert item.count("markers: [D0, D1, D2, D3, D4]") == 1
        item = item.replace("markers: [D0, D1, D2, D3, D4]", "markers: [D0]").rstrip()
        out.append("\n  - name: " + item + LOGIC.replace("JF_C_LOGIC", f"JF_{letter}_LOGIC").rstrip())
    path = os.path.join(directory, "two.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(out) + "\n")
    return path


def alignment_error(bench, fit):
    """Largest |mapped - true| in seconds of the current's clock, between the first and the last train."""
    s = bench.control(cmd="status")
    la, ppk = s["logic"], bench.control(cmd="profile")["profile"]
    worst = 0.0
    for i in range(101):
        ours = fit["from_s"] + (fit["to_s"] - fit["from_s"]) * i / 100
        theirs = ours - fit["offset_s"]  # close enough: the rate's part is iterated away
        for _ in range(3):
            theirs = ours - fit["offset_s"] - fit["rate_ppm"] * 1e-6 * (theirs - fit["ref_s"])
        when = la["origin_s"] + theirs * (1 + la["rate_error"])  # virtual time
        true = (when - s["ppk2_origin_s"]) / (1 + ppk["rate_error"])
        worst = max(worst, abs(ours - true))
    return worst


def run(lab, firmware, bench="ppk2-c", **fields):
    job = lab.wait(lab.submit(firmware, bench, retries=2, **fields), 400)  # a host too busy for real time is an infrastructure failure
    results = lab.results_of(job["id"])
    return job, lab.api("GET", f"/results/{results[0]['id']}") if results else None


def said(job, result):
    return json.dumps([result["verdict"], result["reasons"], result["alignment"]] if result else job.get("cause"))


def check_windows(tap, lab, bench, result, before, windows):
    """Energies and times of the windows against the truth of the same windows, the last ones that the bench has seen."""
    truth = [w for w in bench.truth("window") if w["from_s"] > before and w["inferences"] and w["inferences"] > 1][-windows:]
    ours = lab.api("GET", f"/results/{result['id']}/windows")["items"]
    worst_e = max(abs(o["energy_j"] / t["energy_j"] - 1) for o, t in zip(ours, truth))
    worst_t = max(abs(o["duration_s"] - t["duration_s"]) for o, t in zip(ours, truth))
    tap.check(len(ours) == len(truth) == windows and worst_e < 2e-4, f"energies of {len(ours)} windows within {worst_e:.1e} of the truth", json.dumps(truth)[:500])
    # both edges come from a grid of 1 us, and the window is timed by the PPK2's clock (-15 ppm, ideal current)
    tap.check(worst_t < 3e-6 + 20e-6 * max(t["duration_s"] for t in truth), f"durations within {worst_t * 1e6:.1f} us", json.dumps(ours)[:500])


def aligned_run(tap, lab, bench, firmware, windows, window_s):
    bench.control(cmd="logic", set={"rate_error": RATE_ERROR, "skew_s": SKEW_S, "edge_loss": 0.01, "loss_line": 0})
    before = bench.control(cmd="status")["virtual_s"]
    job, result = run(lab, firmware, windows=windows, window_s=window_s)
    fit = result["alignment"] if result else None
    lost = bench.control(cmd="logic")["logic"]["edges_lost"]
    if not tap.check(bool(fit) and fit["accepted"], "the trains of both instruments are fitted", said(job, result)):
        return
    tap.check(lost > 0 and fit["inliers"] < fit["edges"], f"{lost} edges were lost on the way: {fit['inliers']} of {fit['edges']} are inliers", said(job, result))
    error, span = alignment_error(bench, fit), fit["to_s"] - fit["from_s"]
    tap.check(error < CELL_S, f"alignment error at most {error * 1e6:.2f} us over {span:.1f} s: below one sample of 10 us", json.dumps(fit))
    tap.check(abs(fit["rate_ppm"] - 115) < 1, f"the clocks differ by {fit['rate_ppm']:.3f} ppm; 115 was set", json.dumps(fit))
    budget = {c["component"]: c["u"] for c in result["energy_per_inference_j"]["budget"]}
    tap.check(budget.get("alignment", 0) > 0, "the budget has the component alignment", json.dumps(budget))
    tap.check(result["verdict"] != "invalid" and result["usable_windows"] == windows, "every window is usable", said(job, result))
    tap.check(result["logic"]["driver"] == "sigrok" and "BeagleLogic" in result["logic"]["model"], "the result names the second instrument", json.dumps(result["logic"]))
    check_windows(tap, lab, bench, result, before, windows)
    stages = {s["name"]: s["share"] for s in result["stages"] or []}  # the others are shorter than 20 samples of the PPK2: null
    tap.check((stages.get("inference") or 0) > 0.99, "the stage codes come from lines that the PPK2 does not see", json.dumps(stages))
    return result["id"]


def reanalysed(tap, lab, result_id):
    """The edges are stored as they were seen: the stored trace gives the same fit again."""
    doc = lab.api("GET", f"/results/{result_id}")
    traces = os.path.join(lab.data, "traces")
    path = max((os.path.join(traces, f) for f in os.listdir(traces)), key=os.path.getmtime)
    out = subprocess.run([os.path.join(BUILD, "jf-trace"), "analyse", "--json", path], capture_output=True, text=True, timeout=120, check=False)
    again = json.loads(out.stdout) if out.returncode == 0 else {}
    again = again.get("result", again)
    tap.check(again.get("alignment") == doc["alignment"], "the stored trace gives the same fit again", out.stderr[-500:] + json.dumps(again.get("alignment")))


def refused_run(tap, lab, bench, firmware):
    """A third of the edges of line 0 missing: nothing is placed, and the run says why."""
    bench.control(cmd="logic", set={"edge_loss": 0.35, "loss_line": 0})
    job, result = run(lab, firmware, windows=1, window_s=0.3)
    reasons = {r["code"] for r in result["reasons"]} if result else set()
    tap.check(bool(result) and result["verdict"] == "invalid" and "alignment-ambiguous" in reasons, "trains that do not fit: invalid, alignment-ambiguous",
              said(job, result))
    tap.check("marker-missing" not in reasons and bool(result) and result["energy_per_inference_j"] is None, "no window is placed by guess", said(job, result))


def scope_run(tap, lab, bench, firmware):
    """Current from an oscilloscope that is armed for each window: a train before and one behind each, and a fit per window."""
    bench.control(cmd="logic", set={"rate_error": RATE_ERROR, "skew_s": SKEW_S})
    before = bench.control(cmd="status")["virtual_s"]
    job, result = run(lab, firmware, "scope-a", windows=2, window_s=0.4)
    fit = result["alignment"] if result else None
    if tap.check(bool(fit) and fit["accepted"] and fit["trains"] == 4 and fit["inliers"] == 128, "oscilloscope: both windows' trains are fitted", said(job, result)):
        tap.check(result["verdict"] != "invalid" and result["usable_windows"] == 2, "oscilloscope: both windows are usable", said(job, result))
        check_windows(tap, lab, bench, result, before, 2)


def main():
    tap = Tap()
    seconds = float(os.environ.get("JF_ALIGN_S", "0"))
    windows, window_s = (5, max(1.0, seconds / 5 - 1.5)) if seconds else (3, 0.5)
    benches = ("ppk2-c",) if seconds else ("ppk2-c", "scope-a")
    with tempfile.TemporaryDirectory(prefix="jf-two-") as directory:
        lab = Lab(directory, benches, config=config(directory, benches), extra=("--logic",))
        try:
            bench = lab.benches["ppk2-c"]
            bench.control(cmd="profile", set={"rate_error": -15e-6})
            lab.start_daemon()
            firmware = lab.upload_firmware("kws01")
            result_id = aligned_run(tap, lab, bench, firmware, windows, window_s)
            if result_id:
                reanalysed(tap, lab, result_id)
            if not seconds:
                scope_run(tap, lab, lab.benches["scope-a"], firmware)
                refused_run(tap, lab, bench, firmware)
        finally:
            lab.stop()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
