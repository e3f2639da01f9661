#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One complete measurement on each kind of instrument with ideal errors: energy per inference, gross and net, within
0.2 % of what the virtual bench integrated from its electrical model; the golden output; re-analysis; the stored trace."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import BUILD, Lab, Tap, match_truth, net_truth, truth_energy_per_inference  # noqa: E402


def check_bench(tap, lab, name, firmware):
    job = lab.wait(lab.submit(firmware, name, windows=3), 90)
    if not tap.check(job["state"] == "done", f"{name}: the job is done", json.dumps(job)):
        return
    result = lab.api("GET", f"/results/{lab.results_of(job['id'])[0]['id']}")
    windows = lab.api("GET", f"/results/{result['id']}/windows")["items"]
    tap.check(result["verdict"] == "valid" and len(windows) == 3, f"{name}: valid, three windows", json.dumps(result["reasons"]))
    run = match_truth(windows, lab.benches[name].truth("window"))
    if not tap.check(run is not None, f"{name}: the truth file holds these windows", json.dumps(windows)):
        return
    gross = result["energy_per_inference_j"]["median"]
    truth = truth_energy_per_inference(windows, run)
    tap.check(abs(gross / truth - 1) < 0.002, f"{name}: gross within 0.2 % of truth", f"{gross} {truth}")
    net, want = (result["net_energy_per_inference_j"] or {}).get("median"), net_truth(windows, run, lab.benches[name])
    tap.check(net is not None and want is not None and abs(net / want - 1) < 0.002, f"{name}: net within 0.2 % of truth", f"{net} {want}")
    print(f"# {name}: gross {100 * (gross / truth - 1):+.4f} %, net {100 * (net / want - 1) if net and want else float('nan'):+.4f} %")
    check_trace(tap, lab, name, result)
    check_exports(tap, lab, name, result, windows)


def check_exports(tap, lab, name, result, windows):
    """A runner's layout, sent back, is the same energy up to what its rule may differ by: a sample at each edge, half a millisecond."""
    trace = lab.api("GET", f"/traces/{result['trace']}")
    shortest = min(w["duration_s"] for w in windows)
    for layout, limit in (("eembc", 2.2 * trace["period_s"] / shortest), ("mlcommons", 1.2e-3 / shortest)):
        status, _, raw = lab.request("GET", f"/api/v1/results/{result['id']}/export?as={layout}")
        if not tap.check(status == 200, f"{name}: export as {layout}", raw[:300]):
            continue
        back = lab.request("POST", "/api/v1/import", raw, {"Content-Type": "application/x-tar"})
        item = json.loads(back[2]).get("items", [{}])[0]
        same = abs(item.get("energy_per_inference_j", 0) / result["energy_per_inference_j"]["median"] - 1)
        tap.check(back[0] == 201 and same < limit, f"{name}: as {layout} and back, the same energy", f"{back[2][:300]} {same} {limit}")
        print(f"# {name}: {layout} {100 * same:.5f} % of at most {100 * limit:.5f} %")
    path = os.path.join(lab.dir, f"{name}.sr")
    with open(path, "wb") as f:
        f.write(lab.request("GET", f"/api/v1/results/{result['id']}/export?as=sr")[2])
    p = subprocess.run(["sigrok-cli", "-i", path, "--show"], capture_output=True, text=True, check=False)
    said = (f"Samplerate: {round(1 / trace['period_s'])}\n", f"Analog sample count: {trace['samples'] + trace['gap_samples']}", "current: analog", "voltage: analog", "marker0: logic")
    tap.check(p.returncode == 0 and all(x in p.stdout for x in said), f"{name}: sigrok-cli opens the export", p.stdout + p.stderr)


def check_trace(tap, lab, name, result):
    status, _, raw = lab.request("GET", f"/api/v1/traces/{result['trace']}/content")
    path = os.path.join(lab.dir, f"{name}.jft")
    with open(path, "wb") as f:
        f.write(raw)
    p = subprocess.run([os.path.join(BUILD, "jf-trace"), "analyse", path, "--json"], capture_output=True, text=True, check=False)
    again = json.loads(p.stdout) if p.returncode == 0 else {}
    again = again.get("result", again)
    again_j = (again.get("energy_per_inference_j") or {}).get("median")
    same = again_j is not None and abs(again_j / result["energy_per_inference_j"]["median"] - 1) < 1e-12
    tap.check(status == 200 and same, f"{name}: jf-trace analyse gives the same number from the stored trace", p.stderr + p.stdout[:500])
    stats = lab.api("GET", f"/traces/{result['trace']}/stats")
    tap.check(stats["energy_j"] > 0 and stats["recorded_s"] > 0, f"{name}: statistics of the whole trace", json.dumps(stats))


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jf-e2e-") as d, Lab(d, ("scope-a", "ppk2-c")) as lab:
        lab.start_daemon()
        firmware = lab.upload_firmware("ad01")
        for name in lab.benches:
            check_bench(tap, lab, name, firmware)
        code = lab.stop_daemon()
        tap.check(code == 0, "the daemon ends cleanly", code)
        left = {p: c for p, c in lab.processes().items() if "jf-vbench" not in c}
        tap.check(not left, "no process of the daemon is left", left)
    return tap.done()


sys.exit(main())
