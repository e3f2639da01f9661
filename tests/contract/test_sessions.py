#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Published sessions: in directories and archives, through jf-trace, the daemon and the client. What comes out is what results.txt prints; what must
be refused is, with the entry's name, and nothing of it is stored; exports hold what was imported, and other tools read them."""
import ast
import io
import json
import math
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

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
        trace = os.path.join(tmp, "trace.jft")
        p = jf_trace("import", folder, "--trace", trace)
        said = jf_trace("analyse", trace)
        tap.check(p.returncode == 0 and said.returncode == 1 and "the session itself" in said.stderr, "jf-trace analyse says why an imported session's samples are no result", said.stderr)


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
    tap.check(p.returncode == 0 and all(f"{e:.3f} uJ" in p.stdout for e in energy) and f"{median:.3f} uJ per inference" in p.stdout and "reason    voltage-stated: " in p.stdout, f"joulefarm import {os.path.basename(folder)} prints every window, and why it is suspect", p.stdout + p.stderr)
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
    tap.check(r["provenance"]["inputs"][0] == "tst_000000_Stop_7.bin" and len(r["provenance"]["inputs"]) == 5, "the inputs are named", r["provenance"])
    blob = r["provenance"]["session"]
    tap.check(os.path.exists(os.path.join(farm.data, "blobs", "sessions", blob.split(":")[1])), "the session itself is kept", blob)
    p = client(farm, "reanalyze", rid, "--rule", "edge")
    tap.check(p.returncode == 1 and "import it again" in p.stderr and farm.api("POST", f"/results/{rid}/reanalyze", {"rule": "edge"})[0] == 422, "its windows are its runner's: re-analysis says so, and what to do", p.stderr)
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
        ids = [stored(farm, EEMBC, 1.8), stored(farm, MLCOMMONS, 1.8)]
        events = farm.api("GET", f"/events?after={first}")[1]["items"]
        tap.check([e["type"] for e in events] == ["result.created"] * 2, "each has its event", events)
        status, doc = farm.api("GET", f"/compare?results={ids[0]},{ids[1]}")
        tap.check(status == 409 and {u["key"] for u in doc["unlike"]} == {"window rule", "core clock"}, "sessions of two runners are not alike in rule; model, inputs and supply are", doc)
        status, doc = farm.api("GET", f"/compare?results={ids[0]},{ids[1]}&allow=rule,core-clock")
        tap.check(status == 200, "what is allowed is compared", doc)
        raw = tar(files_of(EEMBC))
        one, two = (farm.request("POST", "/api/v1/import", raw, {**kind, "Idempotency-Key": "k"})[2] for _ in range(2))
        tap.check(one == two and len(farm.api("GET", "/results")[1]["items"]) == 3, "the same key and body give the first answer", (one, two))
        tap.check(farm.request("POST", "/api/v1/import", raw + bytes(512), {**kind, "Idempotency-Key": "k"})[0] == 409, "the same key with another body is a conflict")
        traces = os.listdir(os.path.join(farm.data, "traces"))
        tap.check(len(traces) == 2, "the same samples are one trace", traces)
        exports(farm, ids[0], EEMBC)
        exports(farm, ids[1], MLCOMMONS)
        without_voltage(farm)
        tap.check(os.listdir(os.path.join(farm.data, "work")) == [], "nothing stays in the working directory")


# What mlcommons/tiny's submission checker asks of results.txt (submission_checker.py: check_performance_dir, check_power_dir),
# and of an older one of the same name.
CHECKER = [(re.match, r".* Median throughput is\s+([\d\.]+) inf\./sec\..*"), (re.search, r"Median energy cost is ([\d\.]+) uJ/inf"),
           (re.match, r".* Median energy cost is ([\d\.]+) uJ/inf\..*")]


def unpacked(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as t:
        return {m.name: t.extractfile(m).read() for m in t.getmembers()}


def eembc_sums(files):
    """Energies in uJ by the published rule: t = 0, t += 1/fs, t0 <= t < t1."""
    raw, t = files["trace1-energy.bin"], json.loads(files["trace1-timestamps.json"])
    step, now, k, sums = 1 / struct.unpack_from("<f", raw, 1)[0], 0.0, 1, [0.0] * ((len(t) - 1) // 2)
    for (x,) in struct.iter_unpack("<f", raw[5:]):
        while k + 1 < len(t) and now >= t[k + 1]:
            k += 2
        if k + 1 < len(t) and t[k] <= now < t[k + 1]:
            sums[k // 2] += x
        now += step
    return [f"{x:.3f}" for x in sums]


def mlcommons_sums(files):
    runs = json.loads(files["results.json"])
    return [f"{math.fsum(r['power']['samples'][r['power']['timestamps'][-2][1]:r['power']['timestamps'][-1][1]]) * 1e6:.3f}" for r in runs]


def runner_layouts(farm, rid, folder, tmp):
    original, out = files_of(folder), {}
    want = printed(original, "Energy       :") or printed(original, "Total Energy  :")
    median = printed(original, "Median energy cost is")[0]
    for name, sums, label in (("eembc", eembc_sums, "Energy       :"), ("mlcommons", mlcommons_sums, "Total Energy  :")):
        path = os.path.join(tmp, f"{rid}-{name}.tar")
        p = client(farm, "export", rid[-12:], "--as", name, "-o", path)
        with open(path, "rb") as f:
            files = out[name] = unpacked(f.read())
        lines = files["results.txt"].decode().splitlines()
        tap.check(p.returncode == 0 and set(files) == {"results.txt", "log.txt"} | ({"results.json"} if name == "mlcommons" else {"trace1-energy.bin", "trace1-timestamps.json"}), f"joulefarm export --as {name} has the layout's files", (p.stderr, list(files)))
        found = [next((m for m in (how(pattern, x) for x in lines) if m), None) for how, pattern in CHECKER]
        tap.check(all(found) and abs(float(found[1].group(1)) - float(median)) < 6e-4, "the submission checker's expressions find throughput and the published median", files["results.txt"])
        tap.check(printed(files, label) == want == sums(files), "its energies are the published ones, and those of its samples", (want, printed(files, label), sums(files)))
        p = jf_trace("import", path, "--json")
        tap.check(p.returncode == 0 and json.loads(p.stdout)["agrees"], "a re-import gives the same numbers", p.stderr)
    if folder == EEMBC:
        same = json.loads(out["eembc"]["trace1-timestamps.json"])[1:] == json.loads(original["trace1-timestamps.json"])[1:11]
        tap.check(out["eembc"]["trace1-energy.bin"] == original["trace1-energy.bin"] and same, "the samples are the published file, byte by byte, and the windows' timestamps too")
    else:
        runs = [[json.loads(x["results.json"])[k]["power"][what] for k in range(5) for what in ("samples", "timestamps", "voltage")] for x in (original, out["mlcommons"])]
        tap.check(json.dumps(runs[0]) == json.dumps(runs[1]), "the samples are the published ones, digit by digit")


def npy(raw):
    """The records of a NumPy 1.0 file, read as its specification says."""
    size = struct.unpack_from("<H", raw, 8)[0]
    head = ast.literal_eval(raw[10:10 + size].decode("latin-1"))
    good = raw[:8] == b"\x93NUMPY\x01\x00" and (10 + size) % 64 == 0 and raw[9 + size:10 + size] == b"\n" and head["fortran_order"] is False
    good = good and head["descr"] == [("time_s", "<f8"), ("current_a", "<f4"), ("voltage_v", "<f8"), ("markers", "|u1")]
    records = list(struct.iter_unpack("<dfdB", raw[10 + size:]))
    return records if good and head["shape"] == (len(records),) else None


def raw_layouts(farm, rid):
    get = lambda name: farm.request("GET", f"/api/v1/results/{rid}/export?as={name}")  # noqa: E731
    r = farm.api("GET", f"/results/{rid}")[1]
    all_of_it = farm.api("GET", f"/traces/{r['trace']}/stats")[1]
    status, head, raw = get("npy")
    records = npy(raw)
    tap.check(status == 200 and records and len(records) == all_of_it["samples"], "npy: a record a sample", (status, raw[:200]))
    energy = math.fsum(i * v for _, i, v, _ in records) * 1e-3
    tap.check(abs(energy / all_of_it["energy_j"] - 1) < 1e-9, "npy: current times voltage is the trace's energy", (energy, all_of_it["energy_j"]))
    status, head, raw = get("csv")
    rows = raw.decode().splitlines()
    cells = [x.split(",") for x in rows[1:]]
    tap.check(status == 200 and head["Content-Type"].startswith("text/csv") and rows[0] == "time_s,current_a,voltage_v,power_w,markers" and len(cells) == len(records), "csv: names and a line a sample", rows[:3])
    same = all(abs(float(c[0]) - t) < 1e-9 and struct.pack("<f", float(c[1])) == struct.pack("<f", i) and int(c[4]) == m for c, (t, i, _, m) in zip(cells, records))
    tap.check(same and f'filename="{rid}-csv.csv"' in head["Content-Disposition"], "csv: the same numbers", rows[:3])
    status, head, raw = get("sr")
    with tempfile.NamedTemporaryFile(suffix=".sr") as f:
        f.write(raw)
        f.flush()
        p = subprocess.run(["sigrok-cli", "-i", f.name, "--show"], capture_output=True, text=True, timeout=60, check=False)
        said = p.stdout
        good = all(x in said for x in ("Samplerate: 1000\n", "marker0: logic", "current: analog", "voltage: analog", f"Logic sample count: {len(records)}", f"Analog sample count: {len(records)}"))
        tap.check(p.returncode == 0 and good, "sr: sigrok-cli reads rate, marker, current and voltage channels", (said, p.stderr))
        p = subprocess.run(["sigrok-cli", "-i", f.name, "-C", "marker0", "-O", "bits"], capture_output=True, text=True, timeout=60, check=False)
        bits = "".join(x.split(":")[1].replace(" ", "") for x in p.stdout.splitlines() if x.startswith("marker0:"))
        want = "".join(str(r[3] & 1) for r in records)
        tap.check(bits == want and "0" in want, "sr: sigrok-cli decodes the marker line", (len(bits), len(want), p.stderr))
    with zipfile.ZipFile(io.BytesIO(raw)) as z:
        names = [n for n in z.namelist() if n.startswith("analog-1-9-")]
        current = [x for n in sorted(names, key=lambda n: int(n.rsplit("-", 1)[1])) for (x,) in struct.iter_unpack("<f", z.read(n))]
    tap.check(current == [r[1] for r in records], "sr: the current's samples")


def damaged(farm, rid):
    """A bit of the stored trace flips: no export hides what is missing, and what the summaries hold is still there."""
    r = farm.api("GET", f"/results/{rid}")[1]
    path = os.path.join(farm.data, "traces", r["trace"].split(":")[1] + ".jft")
    with open(path, "rb") as f:
        whole = f.read()
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(len(whole) // 2)
        f.write(bytes([whole[len(whole) // 2] ^ 16]))
    answers = {name: farm.request("GET", f"/api/v1/results/{rid}/export?as={name}") for name in ("csv", "npy", "sr")}
    tap.check(all(a[0] == 500 and b"damaged" in a[2] for a in answers.values()), "a damaged trace is not exported as if it were whole", {k: (v[0], v[2][:200]) for k, v in answers.items()})
    stats = farm.api("GET", f"/traces/{r['trace']}/stats")
    tap.check(stats[0] == 200 and stats[1]["energy_j"] > 0, "its sums are still answered", stats)
    with open(path, "wb") as f:
        f.write(whole)


def exports(farm, rid, folder):
    with tempfile.TemporaryDirectory(prefix="jf-exports-") as tmp:
        runner_layouts(farm, rid, folder, tmp)
    raw_layouts(farm, rid)
    damaged(farm, rid)


def without_voltage(farm):
    """A session that does not say its voltage: a result, no trace, and no layout that needs one."""
    files = {**files_of(EEMBC)}
    files["log.txt"] = files["log.txt"].replace(b"emon: m-voltage-mv[1800]", b"emon: m-voltage-mv[none]")
    files["log.txt"] = b"\n".join(x for x in files["log.txt"].split(b"\n") if b"m-voltage-mv" not in x)
    status, _, raw = farm.request("POST", "/api/v1/import", tar(files), {"Content-Type": "application/x-tar"})
    item = json.loads(raw)["items"][0]
    tap.check(status == 201 and item["trace"] is None, "a session without a voltage has no trace", raw)
    answers = {name: farm.request("GET", f"/api/v1/results/{item['id']}/export?as={name}") for name in ("eembc", "csv", "sr", "npy")}
    tap.check(answers["eembc"][0] == 200 and all(answers[n][0] == 404 and b"has no trace" in answers[n][2] for n in ("csv", "sr", "npy")), "it is exported as a session, not as samples", [(k, v[0]) for k, v in answers.items()])
    never = os.path.join(farm.dir, "never.csv")
    p = client(farm, "export", item["id"], "--as", "csv", "-o", never)
    tap.check(p.returncode == 1 and "has no trace" in p.stderr and not os.path.exists(never) and not os.path.exists(never + ".part"), "the client says why, and leaves no file", p.stderr)
    tap.check(client(farm, "export", item["id"], "--as", "wav").returncode == 2, "an unknown layout is wrong usage")


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
