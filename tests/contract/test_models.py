#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Models in a job: uploaded, compiled once for all by a jf-model that misbehaves in every way a child can, refused with the violations, resumed after kill -9."""
import contextlib
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import BUILD, ROOT, Farm, Tap  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tests", "replay"))
import onnxmodel as ox  # noqa: E402

tap = Tap()
TOOL = os.path.join(ROOT, "tests", "contract", "fake_tool.py")
MEMORY = BUILD.endswith("build")  # the sanitizers cannot be bounded
BOARD = "nucleo-h7a3zi-q"


def gate(farm, opened):
    """What a model with the deed "gate" waits for."""
    if opened:
        open(farm.extra["FAKE_TOOL_GATE"], "w").close()
    else:
        os.unlink(farm.extra["FAKE_TOOL_GATE"])


def runs_of(farm, model):
    return [line for line in runs(farm, "firmware") if f"--name m{model[7:15]} " in line]


def started(farm, model, n):
    return farm.until(lambda: len(runs_of(farm, model)) >= n)


def tfl(words=""):
    return b"\x1c\0\0\0TFL3 " + words.encode() + b" "


def runs(farm, command):
    with open(farm.tool_log, encoding="utf-8") as f:
        return [line for line in f.read().splitlines() if line.startswith(command)]


def post(farm, words=""):
    return farm.api("POST", "/models", tfl(words))


def settled(farm, model, timeout=20):
    farm.until(lambda: farm.api("GET", f"/models/{model}")[1]["state"] != "compiling", timeout)
    return farm.api("GET", f"/models/{model}")[1]


def job(farm, model, do="result", **fields):
    fields = {"board_type": BOARD, **fields} if "bench" not in fields else fields
    return farm.api("POST", "/jobs", {"model": model, "labels": {"do": do}, **fields})


def ready(farm):
    status, m = post(farm, "do:gate n:1")
    tap.check(status == 201 and m["format"] == "tflite" and m["state"] == "compiling" and [b["board_type"] for b in m["builds"]] == [BOARD] and m["builds"][0]["numerics"] == "tflm", "a model is compiled at once for the boards that stand here", (status, m))
    status, j = job(farm, m["id"])
    tap.check(status == 201 and j["state"] == "queued" and j["stage"] == "compile" and j["firmware"] is None and j["model"] == m["id"] and j["numerics"] == "tflm", "a job that names it waits, and says for what", (status, j))
    other = farm.wait(farm.submit(bench="scope-a"))
    tap.check(other["state"] == "done" and farm.job(j["id"])["state"] == "queued", "other jobs pass it meanwhile", other)
    gate(farm, True)
    done = farm.wait(j["id"])
    m = settled(farm, m["id"])
    b = m["builds"][0]
    tap.check(done["state"] == "done" and m["state"] == "ready" and b["firmware"] == done["firmware"] and b["arena_bytes"] == 32 and b["kernels"] == "dsp", "it runs once it is compiled", (done, m))
    r = farm.api("GET", f"/results/{done['result']}")[1]
    tap.check(r["model"] == m["id"] and r["numerics"] == "tflm" and r["firmware"] == b["firmware"], "the result says model and numerics", r)
    tap.check([x["id"] for x in farm.api("GET", f"/results?model={m['id']}")[1]["items"]] == [r["id"]] and [x["id"] for x in farm.api("GET", f"/jobs?model={m['id']}")[1]["items"]] == [j["id"]], "results and jobs by model")
    fw = farm.api("GET", f"/firmware/{b['firmware']}")[1]
    tap.check(fw["model"] == m["id"] and fw["numerics"] == "tflm" and fw["segments"], "the firmware is one like any other", fw)
    before = len(runs(farm, "firmware"))
    tap.check(post(farm, "do:gate n:1")[1]["state"] == "ready" and farm.wait(job(farm, m["id"])[1]["id"])["state"] == "done" and len(runs(farm, "firmware")) == before, "once compiled it is never compiled again")
    status, j = job(farm, m["id"], numerics="litert", bench="scope-a")
    done = farm.wait(j["id"])
    tap.check(done["state"] == "done" and done["firmware"] != b["firmware"] and farm.api("GET", f"/results/{done['result']}")[1]["numerics"] == "litert" and len(runs(farm, "firmware")) == before + 1, "other numerics are another firmware", done)
    last = runs(farm, "firmware")[-1]
    tap.check("--numerics litert" in last and f"--board {BOARD}" in last and "model.tflite" in last, "jf-model was told so", last)
    tap.check(f"--name m{m['id'][7:15]}" in last and m["name"] in last, "and the name that the board will say", last)
    named = farm.api("POST", "/models?name=net_7", tfl("named"))
    tap.check(named[0] == 201 and named[1]["name"] == "net_7" and settled(farm, named[1]["id"])["state"] == "ready" and "--name net_7" in runs(farm, "firmware")[-1], "a model can be named", named)
    key = {"Idempotency-Key": "m1"}
    one, two, three = (farm.api("POST", "/models", tfl(w), key) for w in ("key", "key", "other"))
    settled(farm, one[1]["id"])
    tap.check(one == two and one[0] == 201 and three[0] == 409, "the same key: the same answer; with another model a conflict", (one, two, three))
    tap.check([farm.api("POST", f"/models?name={n}", tfl("named"))[1]["pointer"] for n in ("7up", "a-b", "", "x" * 32)] == ["?name"] * 4, "a name is an identifier")
    tap.check(os.listdir(os.path.join(farm.data, "builds")) == [], "no folder of a build is left")
    tap.check(farm.request("GET", f"/api/v1/models/{m['id']}/content")[2] == tfl("do:gate n:1"), "the model's bytes can be had back")
    again = farm.api("POST", f"/jobs/{done['id']}/resubmit")
    tap.check(again[0] == 201 and again[1]["model"] == m["id"] and farm.wait(again[1]["id"])["state"] == "done", "resubmit", again)
    return m


def refused(farm):
    for words, code, text, violations in (("check:illegal", "model-refused", "node 3 (CONV_2D): kernel_w is 9, the limit is 1..7; and 1 more", 2), ("do:refuse", "model-refused", "not to its taste", 0),
                                          ("do:misfit", "model-refused", "0x70000000", 0)):
        m = post(farm, words + " check2:x do2:x")[1]
        m = settled(farm, m["id"])
        b = m["builds"][0]
        tap.check(m["state"] == b["state"] == "refused" and b["cause"]["code"] == code and b["cause"]["class"] == "job" and text in b["cause"]["text"] and "\x1b" not in b["cause"]["text"] and len(b["violations"]) == violations and b["firmware"] is None, f"{words}: refused, and why", m)
        status, doc = job(farm, m["id"])
        tap.check(status == 422 and doc["pointer"] == "/model" and text in doc["detail"], f"{words}: a job that names it is refused with the same sentence", (status, doc))
    gate(farm, False)
    m = post(farm, "check:gate do:refuse n:2")[1]
    status, j = job(farm, m["id"])
    gate(farm, True)
    j = farm.wait(j["id"])
    tap.check(status == 201 and j["state"] == "failed" and j["cause"]["class"] == "job" and j["cause"]["code"] == "model-refused" and "not to its taste" in j["cause"]["text"] and j["attempts"] == 0, "a job that waited for it fails with the cause", j)
    events = farm.api("GET", "/events?after=0&limit=500")[1]["items"]
    tap.check(any(e["type"] == "model.build" and e.get("state") == "refused" and m["id"] in e["text"] for e in events), "an event says so")


def key(farm, model):
    """Sources of the firmware or a compiler that changed while the daemon was away: what was compiled with the old ones serves nobody any more."""
    before = farm.api("GET", f"/models/{model}")[1]["builds"]
    farm.stop()
    farm.start(**farm.extra, FAKE_TOOL_KEY="1" * 64)
    farm.ready("scope-a", "scope-b", "ppk2-c")
    old = len(runs_of(farm, model))
    done = farm.wait(job(farm, model)[1]["id"])
    builds = [b for b in farm.api("GET", f"/models/{model}")[1]["builds"] if b["tool"].endswith(" " + "1" * 16)]
    tap.check(all(b["tool"].endswith(" " + "0" * 16) for b in before) and done["state"] == "done" and len(builds) == 1 and len(runs_of(farm, model)) == old + 1, "with other sources or another compiler a model is compiled again", (before, builds, done))
    farm.stop()
    farm.start(**farm.extra)
    farm.ready("scope-a", "scope-b", "ppk2-c")
    tap.check(farm.wait(job(farm, model)[1]["id"])["state"] == "done" and len(runs_of(farm, model)) == old + 1, "with the old ones again the old image serves")


def tool_at_fault(farm):
    faults = (("do:die", "protocol-error", "signal 11"), ("do:garbage", "protocol-error", "no JSON"), ("do:flood", "too-large", "prints more than"), ("do:other", "protocol-error", "something else"),
                              ("do:noimage", "malformed", "ELF"), ("check:die", "protocol-error", "signal 11"), ("do:toolchain", "toolchain", "the toolchain is at fault"), ("do:io", "io-error", "the io is at fault"),
                              ("do:mute", "protocol-error", "not said whose fault"), ("do:hang", "timeout", "within 4 s"), ("do:stubborn", "timeout", "within 4 s"))
    posted = [post(farm, words)[1]["id"] for words, _, _ in faults]
    for (words, code, text), model in zip(faults, posted):
        m = settled(farm, model)
        b = m["builds"][0]
        tap.check(m["state"] == b["state"] == "failed" and b["cause"]["class"] == "infrastructure" and b["cause"]["code"] == code and text in b["cause"]["text"], f"{words}: failed by the tool's fault, and how", m)
    before = len(runs(farm, "firmware"))
    m = settled(farm, post(farm, "do:die")[1]["id"])
    tap.check(m["state"] == "failed" and len(runs(farm, "firmware")) == before + 1, "what failed is tried again when somebody asks again", m)
    m = settled(farm, post(farm, "do:memory")[1]["id"]) if MEMORY else None
    tap.check(not MEMORY or m["state"] == "refused" and "out of memory" in m["builds"][0]["cause"]["text"], "a model that takes too much memory is refused", m)
    status, j = job(farm, post(farm, "do:die n:3")[1]["id"])
    j = farm.wait(j["id"]) if status == 201 else j
    tap.check(status == 201 and j["state"] == "failed" and j["cause"]["class"] == "infrastructure", "its job fails as infrastructure", (status, j))
    tap.check(not [c for c in farm.processes().values() if "fake_tool" in c] and os.listdir(os.path.join(farm.data, "builds")) == [], "no child and no folder is left", farm.processes())


def bad_input(farm, model):
    nobody = "sha256:" + "0" * 64
    before = farm.api("GET", "/models")[1]["items"]
    for body in (b"", b"x", b"not a model at all", b"\x7fELF" + bytes(60), bytes(64)):
        status, doc = farm.api("POST", "/models", body)
        tap.check(status == 400 and doc["code"] == "malformed", f"no model: {body[:10]!r}", (status, doc))
    tap.check(farm.api("GET", "/models")[1]["items"] == before, "nothing of it was stored")
    good = {"board_type": BOARD}
    fw = farm.firmware()
    for body, pointer in (({**good, "model": model, "firmware": fw}, "/model"), ({**good, "firmware": fw, "numerics": "tflm"}, "/numerics"), ({**good, "model": model, "numerics": "exact"}, "/numerics"),
                          ({**good, "model": "x"}, "/model"), ({**good, "model": nobody}, "/model"), (good, "/firmware"), ({"model": model}, "/board_type")):
        status, doc = farm.api("POST", "/jobs", body)
        tap.check(status in (400, 422) and doc["pointer"] == pointer, f"refused: {sorted(body)}", (status, doc))
    tap.check(farm.api("GET", f"/models/{nobody}")[0] == 404, "no such model")


def restart(farm):
    gate(farm, False)
    m = post(farm, "do:gate n:9")[1]
    j = job(farm, m["id"])[1]
    many = [post(farm, f"do:gate n:{i}")[1]["id"] for i in range(10, 14)]
    tap.check(started(farm, m["id"], 1), "it compiles")
    farm.stop(signal.SIGKILL)
    tap.check(farm.until(lambda: not [c for c in farm.processes().values() if "fake_tool" in c]), "kill -9: the children go with the daemon", farm.processes())
    gate(farm, True)
    farm.start(**farm.extra)
    tap.check(farm.wait(j["id"], 40)["state"] == "done" and settled(farm, m["id"])["state"] == "ready" and len(runs_of(farm, m["id"])) == 2, "kill -9 while it compiles: the next daemon goes on, the job is done", (farm.job(j["id"]), farm.text()[-2000:]))
    tap.check(all(settled(farm, x, 40)["state"] == "ready" for x in many), "and so do those that waited")
    deadly = post(farm, "do:hang n:20")[1]["id"]
    for n in range(3):
        started(farm, deadly, n + 1)
        farm.stop(signal.SIGKILL)
        farm.start(**farm.extra)
    m = settled(farm, deadly)
    tap.check(m["state"] == "failed" and "ended 3 times" in m["builds"][0]["cause"]["text"] and len(runs_of(farm, deadly)) == 3, "a model under which the daemon ended three times is given up", m)
    started(farm, post(farm, "do:hang n:21")[1]["id"], 1)
    code = farm.stop()
    tap.check(code == 0 and not farm.processes(), "SIGTERM ends the daemon and what it compiles", (code, farm.processes()))
    farm.start(**farm.extra)
    tap.check(farm.api("GET", "/livez")[0] == 200, "and it starts again")


def no_tool():
    with Farm(options=f"  jf_model: {ROOT}/no-such-program\n") as f:
        f.start()
        status, doc = f.api("POST", "/models", tfl())
        tap.check(status == 422 and "no-such-program" in doc["detail"] and f.api("GET", "/models")[1]["items"] == [], "without a jf-model: a clear sentence, nothing stored", (status, doc))


def onnx(op):
    """[1, 8] int8 in QDQ form, through one operator of one input."""
    m = ox.Model("input", ox.FLOAT, [1, 8])
    x = m.dequantize(m.quantize("input", 0.5, 0), 0.5, 0)
    m.output(m.dequantize(m.quantize(m.op(op, [x]), 0.25, -128), 0.25, -128), ox.FLOAT, [1, 8])
    return m.bytes()


def onnx_models():
    """The real jf-model: an ONNX file that was uploaded has no name, and is known by its content."""
    with Farm(options=f"  jf_model: {BUILD}/jf-model\n") as f:
        f.start(JOULEFARM_FIRMWARE_DIR=os.path.join(ROOT, "firmware"))
        status, m = f.api("POST", "/models?name=relu", onnx("Relu"))
        tap.check(status == 201 and m["format"] == "onnx", "an ONNX model", (status, m))
        m = settled(f, m["id"], 60)
        if shutil.which("arm-none-eabi-gcc"):
            b = m["builds"][0]
            tap.check(m["state"] == "ready" and b["kernels"] == "dsp" and f.api("GET", f"/firmware/{b['firmware']}")[1]["model"] == m["id"] and len(b["tool"].split()[-1]) == 16, "it is compiled", m)
        else:
            tap.check(m["state"] == "failed" and m["builds"][0]["cause"]["code"] == "toolchain", "no cross compiler: failed, not refused", m)
        m = settled(f, f.api("POST", "/models", onnx("Erf"))[1]["id"], 60)
        b = m["builds"][0]
        tap.check(m["state"] == "refused" and "Erf" in b["cause"]["text"] and b["cause"]["class"] == "job", "an operator that is not translated: refused, and which", m)
        m = settled(f, f.api("POST", "/models", onnx("Relu")[:-20])[1]["id"], 60)
        tap.check(m["state"] == "refused", "one that is cut off: refused", m)
    with Farm(options=f"  jf_model: {BUILD}/jf-model\n") as f:
        f.start(JOULEFARM_FIRMWARE_DIR=os.path.join(f.dir, "nothing"))
        m = settled(f, f.api("POST", "/models", onnx("Relu"))[1]["id"], 60)
        b = m["builds"][0]
        tap.check(m["state"] == "failed" and b["cause"]["code"] == "toolchain" and b["cause"]["class"] == "infrastructure" and "runtime/jf_model.h" in b["cause"]["text"], "no firmware sources: failed, not refused", m)


@contextlib.contextmanager
def farm_of(deadline_s):
    with Farm(options=f"  jf_trace: {TOOL}\n  jf_model: {TOOL}\n  tool_deadline_s: {deadline_s}\n  tool_memory_mib: 1024\n  tool_threads: 2\n") as f:
        f.tool_log = os.path.join(f.dir, "tool.log")
        f.extra = {"FAKE_TOOL_LOG": f.tool_log, "FAKE_TOOL_GATE": os.path.join(f.dir, "gate")}
        f.start(**f.extra)
        f.ready("scope-a", "scope-b", "ppk2-c")
        yield f


with farm_of(60) as f:
    first = ready(f)
    refused(f)
    key(f, first["id"])
    bad_input(f, first["id"])
    restart(f)
with farm_of(4) as f:
    tool_at_fault(f)
no_tool()
onnx_models()
sys.exit(tap.done())
