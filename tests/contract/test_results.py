#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Results that come from results: analysed again (with a jf-trace that misbehaves in every way a child can), compared, filtered by origin. Nothing is
ever overwritten, and a request that waits for a child is not missed by others."""
import contextlib
import http.client
import json
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, ROOT, Farm, Tap  # noqa: E402

tap = Tap()
TOOL = os.path.join(ROOT, "tests", "contract", "fake_tool.py")
THREADS = 4  # of the HTTP pool: half of them may wait for an analysis


def options(deadline_s):
    return f"  jf_trace: {TOOL}\n  jf_model: {TOOL}\n  tool_deadline_s: {deadline_s}\n  tool_memory_mib: 1024\n  http_threads: {THREADS}\n  tool_threads: 8\n"


MEMORY = [(4, "takes too much memory", 422, "out of memory")] if BUILD.endswith("build") else []  # the sanitizers cannot be bounded
ORIGINAL = ("energy_per_inference_j", "created_at", "trace", "origin", "verdict", "attempt")


def again(farm, source):
    status, r = farm.api("POST", f"/results/{source['id']}/reanalyze", {})
    tap.check(status == 201 and r["origin"] == "reanalysed" and r["source_result"] == source["id"] and r["attempt"] is None, "analysed again: a new result that points to the old one", (status, r))
    tap.check(r["energy_per_inference_j"]["median"] == 2e-3 and r["job"] == source["job"] and r["bench"] == source["bench"] and r["trace"] == source["trace"], "its figures are new, the run is the old one", r)
    tap.check(r["labels"] == source["labels"] and r["provenance"]["reanalysis"]["set"] == {} and r["provenance"]["tools"], "labels and provenance stay, how it was made is added", r)
    tap.check(farm.api("GET", f"/results/{r['id']}")[1] == r and farm.api("GET", f"/results/{r['id']}/windows")[1]["items"][0]["energy_j"] == 2e-2, "it is stored, with its windows")
    old = farm.api("GET", f"/results/{source['id']}")[1]
    tap.check(all(old[k] == source[k] for k in ORIGINAL), "the old result is as it was", old)
    status, x = farm.api("POST", f"/results/{r['id']}/reanalyze", {"rule": "eembc", "set": {"edge_rel": 0.5, "min_windows": 1}, "labels": {"why": "test"}})
    how = x.get("provenance", {}).get("reanalysis", {})
    tap.check(status == 201 and x["window_rule"] == "eembc" and x["source_result"] == r["id"] and x["labels"] == {"why": "test"} and how["set"] == {"rule": "eembc", "edge_rel": 0.5, "min_windows": 1}, "another rule and thresholds, of a re-analysis", (status, x))
    with open(farm.tool_log, encoding="utf-8") as f:
        last = f.read().splitlines()[-1]
    tap.check("--set rule=eembc" in last and "--set edge_rel=0.5" in last and "--set min_windows=1" in last, "jf-trace was told so", last)
    events = [e for e in farm.api("GET", "/events?after=0&limit=500")[1]["items"] if e["type"] == "result.created"]
    tap.check([e["result"] for e in events[-2:]] == [r["id"], x["id"]], "each has its event", events[-2:])
    key = {"Idempotency-Key": "again"}
    one, two = (farm.api("POST", f"/results/{source['id']}/reanalyze", {}, key) for _ in range(2))
    tap.check(one[0] == two[0] == 201 and one[1]["id"] == two[1]["id"], "the same key makes one result", (one, two))
    return r, x


def filters(farm, source, made):
    lists = {o: farm.api("GET", f"/results?origin={o}")[1]["items"] for o in ("measured", "imported", "reanalysed")}
    tap.check([len(lists[o]) for o in ("measured", "imported", "reanalysed")] == [2, 0, 3] and all(r["origin"] == o for o, l in lists.items() for r in l), "lists by origin", {o: len(l) for o, l in lists.items()})
    mine = farm.api("GET", f"/results?source_result={made[0]['id']}")[1]["items"]
    tap.check([r["id"] for r in mine] == [made[1]["id"]], "the re-analyses of one result", mine)
    csv = farm.request("GET", "/api/v1/results.csv?origin=reanalysed")[2].decode().splitlines()
    tap.check(csv[0].endswith("origin,source_result,model,numerics") and len(csv) == 4 and f",reanalysed,{source['id']}," in csv[1], "the table says it too", csv)


def refusals(farm, source):
    path = f"/results/{source['id']}/reanalyze"
    before = farm.api("GET", "/results?limit=500")[1]["items"]
    for body, pointer in (({"rule": "best"}, "/rule"), ({"rule": 1}, "/rule"), ({"set": []}, "/set"), ({"set": {"edge": 1}}, "/set/edge"), ({"set": {"edge_rel": "x"}}, "/set/edge_rel"),
                          ({"set": {"edge_rel": -1}}, "/set/edge_rel"), ({"set": {"draws": 4e9}}, "/set/draws"), ({"set": {"draws": 1.5}}, "/set/draws"), ({"set": {"idle_block_s": 0}}, "/set/idle_block_s"),
                          ({"set": {"marker_phase": 2}}, "/set/marker_phase"), ({"set": {"rule": "edge"}}, "/set/rule"), ({"labels": {"a": 1}}, "/labels/a"), ({"thresholds": {}}, "/thresholds")):
        status, doc = farm.api("POST", path, body)
        tap.check(status == 400 and doc["pointer"] == pointer, f"refused: {json.dumps(body)}", (status, doc))
    tap.check(farm.api("POST", "/results/01a1fd9a-924e-7013-97de-083e4afeb743/reanalyze", {})[0] == 404, "no such result")
    for n, deed, status, text in ((1, "hangs", 504, "within 4 s"), (8, "hangs and ignores SIGTERM", 504, "within 4 s"), (2, "dies", 502, "signal 11"), (3, "prints garbage", 502, "no JSON"),
                                  *MEMORY, (5, "refuses", 422, "not to its taste"), (6, "floods", 413, "prints more than")):
        got, doc = farm.api("POST", path, {"set": {"glitch_s": n / 100}})
        tap.check(got == status and text in doc["detail"] and "\x1b" not in doc["detail"], f"a jf-trace that {deed}: {status}", (got, doc))
        last = farm.api("GET", "/events?after=0&limit=500")[1]["items"][-1]
        tap.check(last["type"] == "reanalysis.failed" and text in last["text"], f"a jf-trace that {deed}: an event says so", last)
    tap.check(farm.api("GET", "/results?limit=500")[1]["items"] == before, "nothing of it was stored")
    tap.check(not [c for c in farm.processes().values() if "fake_tool" in c], "no child is left", farm.processes())


def began(farm):
    """Analyses so far."""
    with contextlib.suppress(FileNotFoundError), open(farm.tool_log, encoding="utf-8") as f:
        return len([line for line in f.read().splitlines() if line.startswith("analyse")])
    return 0


def many(farm, source):
    """More analyses than may be waited for, none of which ends before the gate opens: who is not waited for is told 202 before that, others are answered meanwhile."""
    waited = []

    def ask():
        return farm.api("POST", f"/results/{source['id']}/reanalyze", {"set": {"glitch_s": 0.07}})

    threads = [threading.Thread(target=lambda: waited.append(ask())) for _ in range(THREADS // 2)]
    for i, t in enumerate(threads):
        t.start()
        tap.check(farm.until(lambda n=i + 1: began(farm) == n), f"analysis {i + 1} began", began(farm))
    told = [ask() for _ in range(4)]
    versions = [farm.api("GET", "/version")[0] for _ in range(5)]
    tap.check(not waited and [a[0] for a in told] == [202] * 4 and versions == [200] * 5, "analyses that do not end: half of the pool waits for some, for the others the answer is 202, other requests are answered", (waited, told, versions))
    tap.check(all(farm.api("GET", f"/results/{a[1]['id']}")[0] == 404 for a in told), "what is not analysed yet is no result")
    open(farm.gate, "w").close()
    for t in threads:
        t.join()
    tap.check([a[0] for a in waited] == [201] * (THREADS // 2), "those that were waited for are told 201 once they end", waited)
    ids = [a[1]["id"] for a in told + waited]
    tap.check(len(set(ids)) == 4 + THREADS // 2 and farm.until(lambda: all(farm.api("GET", f"/results/{i}")[0] == 200 for i in ids), 30), "all become results", ids)


def compare(farm, a, b, made):
    ids = f"{a['id']},{b['id']}"
    status, doc = farm.api("GET", f"/compare?results={ids}")
    tap.check(status == 409 and doc["code"] == "unlike-model" and doc["pointer"] == "?results" and {"supply voltage", "model"} <= {u["key"] for u in doc["unlike"]}, "what is not known to be alike is refused, by name", (status, doc))
    every = "model,voltage,plane,rule,method,inputs,core-clock"
    status, doc = farm.api("GET", f"/compare?results={ids}&allow={every}")
    pair = doc.get("pairs", [{}])[0]
    tap.check(status == 200 and doc["results"] == [a["id"], b["id"]] and pair["forced"] and pair["gross"]["a"] == pair["gross"]["b"] == 1e-3 and not pair["gross"]["differs"], "compared because allowed, and says so", (status, doc))
    status, doc = farm.api("GET", f"/compare?results={ids},{made[0]['id']}&allow={every}")
    tap.check(status == 200 and [p["b"] for p in doc["pairs"]] == [b["id"], made[0]["id"]] and doc["pairs"][1]["gross"]["difference"] == -1e-3, "the first against each of the others", (status, doc))
    status, doc = farm.api("GET", f"/compare?results={a['id']},{made[1]['id']}&allow={every.replace('rule,', '')}")
    tap.check(status == 409 and doc["code"] == "unlike-rule" and "edge against eembc" in doc["detail"], "the code names the one difference that was not allowed", (status, doc))
    lossy = farm.wait(farm.submit("lossy", bench="ppk2-c", retries=0))
    status, doc = farm.api("GET", f"/compare?results={a['id']},{lossy['result']}&allow={every}")
    tap.check(status == 409 and doc["code"] == "unlike-verdict" and "invalid" in doc["detail"], "an invalid result is never compared", (status, doc))
    nobody = "01a1fd9a-924e-7013-97de-083e4afeb743"
    for query, pointer in (("", "?results"), (f"results={a['id']}", "?results"), (f"results={a['id']},x", "?results"), (f"results={a['id']},{a['id']}", "?results"), ("results=" + ",".join([nobody] * 9), "?results"),
                           (f"results={ids}&allow=weather", "?allow"), (f"results={ids}&allow=verdict", "?allow")):
        status, doc = farm.api("GET", f"/compare?{query}")
        tap.check(status == 400 and doc["pointer"] == pointer, f"refused: compare?{query[:30]}", (status, doc))
    tap.check(farm.api("GET", f"/compare?results={a['id']},{nobody}")[0] == 404, "no such result to compare")


def killed(farm, source):
    """An analysis is not resumed: the daemon that is killed under it leaves nothing, and whoever asks again gets it, with the same key once."""
    os.unlink(farm.gate)
    path, body, key = f"/results/{source['id']}/reanalyze", {"set": {"glitch_s": 0.07}}, {"Idempotency-Key": "killed"}
    answer = []

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer.append(farm.api("POST", path, body, key))

    before, runs = farm.api("GET", "/results?limit=500")[1]["items"], began(farm)
    t = threading.Thread(target=ask)
    t.start()
    farm.until(lambda: began(farm) > runs)
    farm.stop(signal.SIGKILL)
    t.join()
    tap.check(farm.until(lambda: not [c for c in farm.processes().values() if "fake_tool" in c]), "kill -9: the child goes with the daemon", farm.processes())
    open(farm.gate, "w").close()
    farm.start(**farm.extra)
    tap.check(not answer and farm.api("GET", "/results?limit=500")[1]["items"] == before, "kill -9 while it analyses: no answer, nothing stored", answer)
    one, two = (farm.api("POST", path, body, key) for _ in range(2))
    tap.check(one[0] == two[0] == 201 and one[1]["id"] == two[1]["id"] and len(farm.api("GET", "/results?limit=500")[1]["items"]) == len(before) + 1, "asked again with the same key: one result", (one, two))


@contextlib.contextmanager
def farm_of(deadline_s):
    with Farm(options=options(deadline_s)) as f:
        f.tool_log, f.gate = os.path.join(f.dir, "tool.log"), os.path.join(f.dir, "gate")
        f.extra = {"FAKE_TOOL_LOG": f.tool_log, "FAKE_TOOL_GATE": f.gate}
        f.start(**f.extra)
        f.ready("scope-a", "scope-b", "ppk2-c")
        yield f


def measured(farm):
    return farm.api("GET", f"/results/{farm.wait(farm.submit())['result']}")[1]


with farm_of(4) as f:
    first, second = measured(f), measured(f)
    tap.check(first["origin"] == "measured" and first["source_result"] is None, "a measured result says so", first)
    results = again(f, first)
    filters(f, first, results)
    refusals(f, first)
    compare(f, first, second, results)
with farm_of(60) as f:
    first = measured(f)
    many(f, first)
    killed(f, first)
sys.exit(tap.done())
