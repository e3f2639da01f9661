#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""For people with hardware; never part of `make check`. Measures the four models on one bench of a running daemon through the
client, and checks what can be checked without a truth file: valid verdicts, the board's own golden output, device time against
trace time, repeatability of two runs within their joint scatter. Prints TAP.

usage: tests/hw/first_measurement.py BENCH [--server URL]      (see docs/first-measurement.md)

Nobody has run this on hardware yet; it is tried against the virtual benches, where it passes."""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = ["ad01", "kws01", "ic01", "vww01"]


def measure(server, bench, model):
    elf = os.path.join(ROOT, "build", "firmware", "nucleo-h7a3zi-q", model + ".elf")
    p = subprocess.run([os.path.join(ROOT, "build", "joulefarm"), "--server", server, "submit", elf, "--bench", bench, "--method", "quick",
                        "--windows", "5", "--window-s", "1", "--wait", "--json"], capture_output=True, text=True, check=False)
    doc = json.loads(p.stdout) if p.stdout.strip() else {}
    return p.returncode, doc.get("result"), (doc.get("job") or {}).get("cause") or p.stderr.strip()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bench")
    ap.add_argument("--server", default=os.environ.get("JOULEFARM_SERVER", "http://127.0.0.1:8480"))
    a = ap.parse_args()
    n = failed = 0

    def check(good, name, detail=""):
        nonlocal n, failed
        n += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {n} - {name}" + ("" if good else f"\n#   {detail}"), flush=True)

    for model in MODELS:
        runs = []
        for _ in range(2):
            code, result, why = measure(a.server, a.bench, model)
            check(code == 0 and result is not None, f"{model}: a valid result", why)
            if result:
                runs.append(result)
        if len(runs) < 2:
            continue
        e = [r["energy_per_inference_j"] for r in runs]
        r = runs[0]
        print(f"# {model}: {e[0]['median']:.6g} J per inference, U95 {e[0]['u95']}, latency {r['latency_per_inference_s']['median']:.6g} s")
        check(r["board"].get("model_id") == model, f"{model}: the board names the model", r["board"])
        check(r["clock"].get("by") == "device", f"{model}: device time was compared with trace time", r["clock"])
        spread = abs(e[0]["median"] - e[1]["median"]) / e[0]["median"]
        check(spread < 0.02, f"{model}: two runs agree within 2 % (published sessions scatter up to 2.2 %)", f"{100 * spread:.3f} %")
    print(f"1..{n}")
    return 1 if failed else 0


sys.exit(main())
