#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two instruments, one time: current from a PPK2 that sees one marker line, all five lines from a logic analyzer through libsigrok's own
`beaglelogic` driver, with a clock of its own: 100 ppm off, 40 ms late, 1 % of the edges lost. The fitted line is compared with the virtual bench's truth about
both clocks, the energies with its truth about the windows. JF_ALIGN_S: seconds between the first and the last train (default short)."""
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


def config(directory):
    """The demo's PPK2 bench with one marker line of its own and a logic analyzer."""
    with open(os.path.join(ROOT, "config", "demo.yaml"), encoding="utf-8") as f:
        head, *items = f.read().split("\n  - name: ")
    item = next(i for i in items if i.startswith("ppk2-c"))
    assert "markers: [D0, D1, D2, D3, D4]" in item
    item = item.replace("markers: [D0, D1, D2, D3, D4]", "markers: [D0]").rstrip() + LOGIC
    path = os.path.join(directory, "two.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + "\n  - name: " + item)
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


def run(lab, firmware, **fields):
    job = lab.wait(lab.submit(firmware, "ppk2-c", **fields), 300)
    results = lab.results_of(job["id"])
    return job, lab.api("GET", f"/results/{results[0]['id']}") if results else None


def show(tap, job, result):
    if result:
        print("# verdict", result["verdict"], [(r["code"], r["text"]) for r in result["reasons"]])
    else:
        print("#", json.dumps(job.get("cause")))


def main():
    tap = Tap()
    seconds = float(os.environ.get("JF_ALIGN_S", "0"))
    windows, window_s = (5, max(1.0, seconds / 5 - 3.2)) if seconds else (3, 0.5)
    with tempfile.TemporaryDirectory(prefix="jf-two-") as directory:
        lab = Lab(directory, ("ppk2-c",), config=config(directory), extra=("--logic",))
        try:
            bench = lab.benches["ppk2-c"]
            bench.control(cmd="logic", set={"rate_error": RATE_ERROR, "skew_s": SKEW_S})
            bench.control(cmd="profile", set={"rate_error": -15e-6})
            lab.start_daemon()
            firmware = lab.upload_firmware("kws01")
            # 1. edges lost on the train's wire only would be a special case: a lost inference edge costs its window, as it must
            bench.control(cmd="logic", set={"edge_loss": 0.0 if not seconds else 0.0})
            job, result = run(lab, firmware, windows=windows, window_s=window_s)
            show(tap, job, result)
            fit = result["alignment"] if result else None
            tap.check(bool(fit) and fit["accepted"], "the trains of both instruments are fitted", json.dumps(fit))
            if fit and fit["accepted"]:
                error = alignment_error(bench, fit)
                span = fit["to_s"] - fit["from_s"]
                tap.check(error < CELL_S, f"alignment error {error * 1e6:.2f} us over {span:.1f} s, below one sample (10 us)", json.dumps(fit))
        finally:
            lab.stop()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
