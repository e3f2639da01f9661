#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Published sessions in archives: what comes out is what results.txt prints, and what must be refused is, with the entry's name."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, Farm, Tap  # noqa: E402
from sessions import EEMBC, MLCOMMONS, bad_archives, bad_sessions, files_of, good_archives, tar  # noqa: E402

tap = Tap()


def jf_trace(*args):
    return subprocess.run([os.path.join(BUILD, "jf-trace"), *args], capture_output=True, text=True, timeout=60, check=False)


def printed(files, label):
    """The numbers behind a label of results.txt, as text."""
    return re.findall(re.escape(label) + r"\s*([\d.]+)", files["results.txt"].decode())


def archives(folder):
    with tempfile.TemporaryDirectory(prefix="jf-sessions-") as tmp:
        path, files = os.path.join(tmp, "session"), files_of(folder)
        for what, raw in good_archives(files):
            with open(path, "wb") as f:
                f.write(raw)
            p = jf_trace("import", path, "--json")
            doc = json.loads(p.stdout or "null")
            good = p.returncode == 0 and doc["agrees"] and [w["figures"]["energy_uj"]["computed"] for w in doc["windows"]] == (printed(files, "Energy       :") or printed(files, "Total Energy  :"))
            tap.check(good, f"a session as {what}", p.stderr)
        for what, raw, words in bad_archives(files):
            with open(path, "wb") as f:
                f.write(raw)
            p = jf_trace("import", path)
            tap.check(p.returncode == 1 and not p.stdout and all(w in p.stderr for w in words), f"refused: {what}", (p.returncode, p.stderr[:300]))
        tap.check(os.listdir(tmp) == ["session"], "nothing was written beside it")


def held(farm):
    """Everything that the daemon keeps: results and events, and the files of its data directory."""
    names = sorted(os.path.join(base, n) for base, _, fs in os.walk(farm.data) for n in fs if "sqlite" not in n and "/logs" not in base)
    return farm.api("GET", "/results?limit=500")[1]["items"], farm.request("GET", "/metrics")[2], names, os.listdir(os.path.join(farm.data, "work"))


def client(farm, *args):
    return subprocess.run([os.path.join(BUILD, "joulefarm"), "--server", f"http://127.0.0.1:{farm.port}", *args], capture_output=True, text=True, timeout=90, check=False)


def figures(folder):
    files = files_of(folder)
    energy = printed(files, "Energy       :") or printed(files, "Total Energy  :")
    duration = printed(files, "Runtime      :") or printed(files, "Elapsed time  :")
    return [float(x) for x in energy], [float(x) for x in duration], float(printed(files, "Median energy cost is")[0])


def stored(farm, folder, volts):
    energy, duration, median = figures(folder)
    p = client(farm, "import", folder)
    tap.check(p.returncode == 0 and all(f"{e:.3f} uJ" in p.stdout for e in energy) and f"{median:.3f} uJ per inference" in p.stdout, f"joulefarm import {os.path.basename(folder)} prints every window", p.stdout + p.stderr)
    rid = re.search(r"result +(\S+)", p.stdout).group(1)
    r = farm.api("GET", f"/results/{rid}")[1]
    tap.check(r["origin"] == "imported" and r["verdict"] == "suspect" and r["job"] is r["attempt"] is r["bench"] is None and r["provenance"]["origin"] == "imported", "its origin is imported, and it has no job", r)
    tap.check(abs(r["energy_per_inference_j"]["median"] * 1e6 - median) < 6e-4 and r["energy_per_inference_j"]["u95"] is None, "the printed median; no uncertainty is made up", r["energy_per_inference_j"])
    windows = farm.api("GET", f"/results/{rid}/windows")[1]["items"]
    tap.check([round(w["energy_j"] * 1e6, 3) for w in windows] == energy and all(abs(w["duration_s"] - d) < 6e-4 for w, d in zip(windows, duration)), "the printed windows", windows)
    tap.check(r["supply"]["voltage_v"] == volts and r["supply"]["provenance"] == "stated" and r["board"]["model_id"] == "kws01", "supply and model as the session says them", r["supply"])
    span = farm.api("GET", f"/traces/{r['trace']}/stats?from_s={windows[1]['from_s']}&to_s={windows[1]['to_s']}")[1]
    tap.check(abs(span["energy_j"] / windows[1]["energy_j"] - 1) < 2e-4, "its trace holds the same energy (to a sample at the window's ends)", (span, windows[1]))
    listed = farm.api("GET", "/results?origin=imported")[1]["items"]
    tap.check(listed[0]["id"] == rid and rid in farm.request("GET", "/api/v1/results.csv")[2].decode() and rid[-12:] in client(farm, "results").stdout, "it is listed like any other")
    blob = r["provenance"]["session"]
    tap.check(os.path.exists(os.path.join(farm.data, "blobs", "sessions", blob.split(":")[1])), "the session itself is kept", blob)
    return rid


def daemon_side():
    kind = {"Content-Type": "application/x-tar"}
    with Farm().start() as farm:
        farm.ready("scope-a", "scope-b", "ppk2-c")
        before = held(farm)
        for what, raw, words in bad_archives(files_of(EEMBC)):
            status, head, answer = farm.request("POST", "/api/v1/import", raw, kind)
            doc = json.loads(answer)
            said = f"{doc['pointer']} {doc['detail']}"
            tap.check(status in (400, 413, 422) and head["Content-Type"] == "application/problem+json" and (not raw or all(w in said for w in words)), f"POST /import refuses {what}", answer)
        for what, files, words in bad_sessions():
            doc = json.loads(farm.request("POST", "/api/v1/import", tar(files), kind)[2])
            said = f"{doc.get('pointer')} {doc.get('detail')}"
            tap.check(doc.get("status") in (400, 422) and all(w in said for w in words), f"POST /import refuses a session with {what}", doc)
        tap.check(farm.request("POST", "/api/v1/import", tar(files_of(EEMBC)), {"Content-Type": "application/json"})[0] == 415, "the content type is checked")
        p = client(farm, "import", "/nonexistent")
        tap.check(p.returncode == 1 and "/nonexistent" in p.stderr and client(farm, "import").returncode == 2, "exit codes: 1 failed, 2 wrong usage", p.stderr)
        tap.check(held(farm) == before, "nothing of it was stored", (before, held(farm)))
        first = farm.api("GET", "/events?after=0")[1]["next"]
        stored(farm, EEMBC, 1.8)
        stored(farm, MLCOMMONS, 1.8)
        events = farm.api("GET", f"/events?after={first}")[1]["items"]
        tap.check([e["type"] for e in events] == ["result.created"] * 2, "each has its event", events)
        raw = tar(files_of(EEMBC))
        one, two = (farm.request("POST", "/api/v1/import", raw, {**kind, "Idempotency-Key": "k"})[2] for _ in range(2))
        tap.check(one == two and len(farm.api("GET", "/results")[1]["items"]) == 3, "the same key and body give the first answer", (one, two))
        tap.check(farm.request("POST", "/api/v1/import", raw + bytes(512), {**kind, "Idempotency-Key": "k"})[0] == 409, "the same key with another body is a conflict")
        traces = os.listdir(os.path.join(farm.data, "traces"))
        tap.check(len(traces) == 2, "the same samples are one trace", traces)


def sessions():
    with tempfile.TemporaryDirectory(prefix="jf-sessions-") as tmp:
        for k, (what, files, words) in enumerate(bad_sessions()):
            folder = os.path.join(tmp, str(k))
            os.mkdir(folder)
            for name, data in files.items():
                with open(os.path.join(folder, name), "wb") as f:
                    f.write(data)
            p = jf_trace("import", folder, "--trace", os.path.join(tmp, "out.jft"))
            tap.check(p.returncode == 1 and all(w in p.stderr for w in words) and not os.path.exists(os.path.join(tmp, "out.jft")), f"refused: {what}", p.stderr)


archives(EEMBC)
archives(MLCOMMONS)
sessions()
daemon_side()
sys.exit(tap.done())
