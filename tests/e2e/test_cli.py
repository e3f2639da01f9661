#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line client against a running laboratory: every command, its --json against the API's own answer, short
ids, and the exit statuses that its help promises."""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import BUILD, FIRMWARE, ROOT, Lab, Tap  # noqa: E402

ELF = os.path.join(FIRMWARE, "ad01.elf")
MODEL = os.path.join(ROOT, "firmware", "models", "ad01_int8.tflite")
QUICK = ["--bench", "ppk2-c", "--windows", "3", "--window-s", "0.3", "--warmup", "1", "--retries", "0"]


class Client:
    def __init__(self, lab, tap):
        self.lab, self.tap = lab, tap

    def run(self, *args, server=None):
        p = subprocess.run([os.path.join(BUILD, "joulefarm"), "--server", server or self.lab.url, *args], capture_output=True, text=True, timeout=90, check=False)
        return p.returncode, p.stdout, p.stderr

    def json(self, *args):
        """The decoded --json output, or None; exit status aside."""
        try:
            return json.loads(self.run(*args, "--json")[1])
        except ValueError:
            return None

    def expect(self, status, name, *args, text=None, server=None):
        code, out, err = self.run(*args, server=server)
        good = code == status and (text is None or text in out + err) and (code == 0 or err or "watch" in args or "--wait" in args)
        self.tap.check(good, f"{name}: status {status}", f"{args}\n-> {code}\n{out}\n{err}")
        return out


def without_a_job(c, lab, tap, scratch):
    for name in ("submit", "watch", "jobs", "cancel", "benches", "results", "models", "reanalyze", "compare", "trace", "version"):
        c.expect(0, f"{name} --help", name, "--help", text=f"usage: joulefarm {name}")
    for args in ((), ("nonsense",), ("submit",), ("watch",), ("cancel",), ("trace",), ("jobs", "--limit", "0"), ("results", "--nonsense"),
                 ("submit", ELF, "--model", ELF), ("reanalyze",), ("reanalyze", "abcd", "--set", "x"), ("compare", "abcd"), ("submit", ELF, "--label", "novalue"), ("submit", ELF, "--expect-crc32", "xyz"), ("watch", "a", "b")):
        c.expect(2, "wrong usage, " + (" ".join(os.path.basename(a) for a in args) or "nothing"), *args)
    c.expect(3, "no daemon", "jobs", server="http://127.0.0.1:1", text="no joulefarm daemon")
    tap.check(lab.api("GET", "/firmware")["items"] == [], "wrong usage sends nothing", lab.api("GET", "/firmware"))
    bad = os.path.join(scratch, "bad [x].elf")
    with open(bad, "wb") as f:
        f.write(b"no image")
    c.expect(1, "a file that is no ELF file", "submit", bad, text="ELF")
    with open(ELF, "rb") as f, open(bad, "wb") as g:
        g.write(f.read(3000))
    c.expect(1, "a truncated ELF file", "submit", bad, text="truncated")
    c.expect(1, "a file that is not there", "submit", bad + "x")
    c.expect(1, "the problem names the field", "submit", ELF, "--bench", "nowhere", text="/bench")
    c.expect(1, "an unknown id", "results", "ffffffffffff", text="ffffffffffff")
    tap.check(c.json("jobs") == [] and c.json("results") == [], "nothing was queued by what was refused")
    answer = c.json("submit", ELF, *QUICK, "--dry-run") or {}
    tap.check(answer.get("windows") == 3 and c.json("jobs") == [], "--dry-run checks, and queues nothing", answer)


def one_measurement(c, lab, tap, scratch):
    code, out, err = c.run("submit", ELF, *QUICK, "--label", "who=ann", "--label", "note=a b=c", "--wait", "--json")
    doc = json.loads(out) if out.startswith("{") else {}
    result = doc.get("result") or {}
    tap.check(code == (0 if result.get("verdict") == "valid" else 4), "submit --wait: the status says what the verdict says", f"{code}\n{out[-2000:]}\n{err}")
    tap.check(doc.get("job", {}).get("state") == "done" and doc["job"]["labels"] == {"who": "ann", "note": "a b=c"}, "submit --wait --json: the job, with its labels", out[:2000])
    if not result:
        return None
    tap.check(result == lab.results_of(doc["job"]["id"])[0], "submit --wait --json: the result as the API has it")
    short = result["id"][-12:]
    one = c.json("results", short)
    tap.check(one == lab.api("GET", f"/results/{result['id']}"), "results SHORT --json: the API's answer", one)
    table = c.run("results", "--job", doc["job"]["id"][-12:])[1]
    tap.check(short in table and max(map(len, table.splitlines())) <= 100, "results: a table within 100 columns that shows the short id", table)
    micro = f"{result['energy_per_inference_j']['median'] * 1e6:.1f} uJ"
    tap.check(micro in table and micro in c.run("results", short)[1], f"results: the energy in the table is {micro}", table)
    tap.check(c.json("results", "--verdict", "invalid") == [], "results --verdict selects")
    tap.check([j["id"] for j in c.json("jobs", "--state", "done")] == [doc["job"]["id"]] and c.json("jobs", doc["job"]["id"][-12:])["result"] == result["id"], "jobs, and one job by its short id")

    w = lab.api("GET", f"/results/{result['id']}/windows")["items"][0]
    span = ["--from-s", repr(w["from_s"]), "--to-s", repr(w["to_s"])]
    stats = c.json("trace", short, "--stats", *span)
    api = lab.api("GET", f"/traces/{result['trace']}/stats?from_s={w['from_s']!r}&to_s={w['to_s']!r}")
    tap.check(stats == api, "trace --stats --json: the API's answer", f"{stats}\n{api}")
    # Two ways to one number: cut samples are apportioned by both.
    tap.check(abs(stats["energy_j"] / w["energy_j"] - 1) < 1e-3, "trace --stats over a window: the window's energy", f"{stats['energy_j']} {w['energy_j']}")
    plot = c.run("trace", result["trace"])[1].splitlines()
    tap.check(len(plot) >= 13 and all(len(line) == 14 + 64 for line in plot[:12]) and any("#" in line for line in plot), "trace plots 64 columns", "\n".join(plot))
    file = os.path.join(scratch, "t.jft")
    c.expect(0, "trace --output", "trace", short, "--output", file)
    with open(file, "rb") as f:
        tap.check("sha256:" + hashlib.sha256(f.read()).hexdigest() == result["trace"], "the file has the hash that is its id")
    c.expect(1, "trace --output where nothing can be written", "trace", short, "--output", os.path.join(scratch, "no", "dir"))
    c.expect(1, "an empty span", "trace", short, "--from-s", "5", "--to-s", "4", text="empty")
    c.expect(0, "watch of a job that is over", "watch", doc["job"]["id"], text="verdict valid")
    return result


def results_of_results(c, lab, tap, old):
    """Analysed again by the real jf-trace, compared by the real rules."""
    before = lab.api("GET", f"/results/{old['id']}")
    again = c.json("reanalyze", old["id"][-12:])
    same = ("energy_per_inference_j", "net_energy_per_inference_j", "latency_per_inference_s", "stages", "verdict", "thresholds")
    tap.check(again["origin"] == "reanalysed" and again["source_result"] == old["id"] and all(again[k] == old[k] for k in same), "reanalyze with the same rule and version: the same figures, a new result", again)
    loose = c.json("reanalyze", old["id"], "--rule", "eembc", "--set", "spread_rel=0.5")
    tap.check(loose["window_rule"] == "eembc" and loose["thresholds"]["spread_rel"] == 0.5 and 0 < abs(loose["energy_per_inference_j"]["median"] / old["energy_per_inference_j"]["median"] - 1) < 1e-3,
              "another rule and threshold: nearly the same energy", loose.get("thresholds"))
    third = c.json("reanalyze", loose["id"])
    tap.check(third["window_rule"] == "eembc" and third["energy_per_inference_j"] == loose["energy_per_inference_j"] and third["source_result"] == loose["id"], "a re-analysis again: as that one was made", third)
    tap.check(lab.api("GET", f"/results/{old['id']}") == before and lab.api("GET", f"/results/{old['id']}/windows")["items"], "the old result is untouched")
    c.expect(1, "an unknown threshold", "reanalyze", old["id"], "--set", "nonsense=1", text="/set/nonsense")
    c.expect(1, "an unknown rule", "reanalyze", old["id"], "--rule", "best", text="edge, eembc or mlcommons")
    table = c.run("results", "--origin", "reanalysed")[1]
    tap.check(table.count("again") == 3 and max(map(len, table.splitlines())) <= 110, "results says what is a re-analysis", table)
    pair = c.json("compare", old["id"], again["id"])["pairs"][0]
    tap.check(pair["gross"]["difference"] == 0 and not pair["gross"]["differs"] and pair["gross"]["u95"] < pair["gross"]["u95_unshared"], "compare: what both share cancels", pair["gross"])
    out = c.expect(1, "compare of two window rules", "compare", old["id"], loose["id"], text="unlike-rule")
    tap.check("edge against eembc" in out or "edge against eembc" in c.run("compare", old["id"], loose["id"])[2], "it says which", out)
    out = c.expect(0, "compare --allow rule", "compare", old["id"][-12:], loose["id"][-12:], "--allow", "rule", text="unlike")
    tap.check("gross energy" in out and "a / b" in out, "it prints the difference, and what is unlike", out)
    c.expect(1, "compare --allow of nothing known", "compare", old["id"], loose["id"], "--allow", "weather", text="known are")


def models(c, lab, tap, scratch, old):
    """The same model compiled by the farm: the real jf-model and cross compiler."""
    code, out, err = c.run("submit", "--model", MODEL, *QUICK, "--wait", "--json")
    doc = json.loads(out) if out.startswith("{") else {}
    result = doc.get("result") or {}
    if not tap.check(code in (0, 4) and doc.get("job", {}).get("model") and result.get("model") == old["model"] and result["numerics"] == "tflm", "submit --model: compiled, measured, its hash in the result", f"{code}\n{out[-3000:]}\n{err}"):
        return
    tap.check(result["board"]["model_id"] == "ad01_int8" and result["provenance"]["model_sha256"] == old["provenance"]["model_sha256"], "the board says the same model", result["board"])
    m = c.json("models")[0]
    tap.check(m["state"] == "ready" and m["builds"][0]["firmware"] == doc["job"]["firmware"] and m["builds"][0]["arena_bytes"] > 0, "models --json", m)
    tap.check("ready" in c.run("models")[1] and "flash" in c.run("models", m["id"][7:15])[1], "models, and one by the beginning of its hash")
    pair = c.json("compare", result["id"], old["id"])["pairs"][0]
    tap.check(pair["gross"] and not pair["unlike"], "firmware and model of one hash compare without leave", pair)
    bad = os.path.join(scratch, "bad.tflite")
    with open(MODEL, "rb") as f, open(bad, "wb") as g:
        g.write(f.read(2000))
    out = c.expect(1, "a truncated model", "submit", "--model", bad, *QUICK, "--wait")
    tap.check("failed (job)" in out, "the job fails, and says why", out)
    c.expect(1, "no model at all", "submit", "--model", ELF, *QUICK, text="neither a TFLite file")


def cancels_and_fails(c, lab, tap, scratch):
    job = c.run("submit", ELF, *QUICK, "--window-s", "20")[1].strip()
    tap.check(re.fullmatch(r"[0-9a-f-]{36}", job) is not None, "submit prints the job's id and nothing else", job)
    second = c.json("submit", ELF, *QUICK)["id"]
    lab.wait(job, 30, lambda j: j["stage"] == "run")
    busy = [b for b in c.json("benches") if b["job"] == job]
    tap.check(len(busy) == 1 and busy[0]["name"] == "ppk2-c" and job[-12:] in c.run("benches")[1], "benches shows the job", busy)
    answers = c.json("cancel", second, job[-12:])
    tap.check(isinstance(answers, list) and answers[0]["state"] == "canceled" and len(answers) == 2, "cancel --json: one answer a job", answers)
    c.expect(1, "watch of a canceled job", "watch", job, text="canceled")
    tap.check(lab.job(job)["state"] == "canceled" and lab.job(second)["state"] == "canceled", "both are canceled")
    c.expect(1, "cancel of a job that is over", "cancel", job)
    # an input that the model cannot take: the board says so, and that is the cause
    short = os.path.join(scratch, "short.bin")
    with open(short, "wb") as f:
        f.write(b"\0" * 64)
    out = c.expect(1, "submit --wait of a job that fails", "submit", ELF, *QUICK, "--input", short, "--wait")
    tap.check("failed (job)" in out and "64 bytes" in out, "its cause is printed", out)
    out = c.expect(4, "a result that is not valid", "submit", ELF, *QUICK[:3], "1", *QUICK[4:], "--expect-crc32", "0badc0de", "--wait")
    tap.check("wrong-output" in out and "verdict invalid" in out, "its reason is printed", out)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="jf-cli-") as scratch, Lab(os.path.join(scratch, "lab"), ("ppk2-c",)) as lab:
        lab.start_daemon()
        c = Client(lab, tap)
        without_a_job(c, lab, tap, scratch)
        result = one_measurement(c, lab, tap, scratch)
        if result:
            results_of_results(c, lab, tap, result)
            models(c, lab, tap, scratch, result)
        cancels_and_fails(c, lab, tap, scratch)
    return tap.done()


sys.exit(main())
