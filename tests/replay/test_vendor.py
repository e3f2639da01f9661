#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model vendor against a fake tool that leaves recorded reports behind (tests/replay/vendor/): numbers read, files collected, kept results,
and every way in which a tool can be absent, wrong or stuck. TAP."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests")
sys.path.insert(0, f"{ROOT}/tests/replay")
import tflite_writer as tw
from tap import Tap

TOOL = f"{ROOT}/build/jf-model"
VENDOR = f"{ROOT}/tests/replay/vendor"
MODEL = f"{ROOT}/firmware/models/kws_ref_model.tflite"
PROGRAMS = ["vela", "neutron-converter", "stedgeai", "ai8xize.py", "model_transform.py", "model_deploy.py", "model_tool", "nntool", "python3"]
# by hand from the recorded texts: KiB are 1024 bytes, MB of model_tool 1048576
EXPECTED = [
    ("hx6538-we2", {"ram_bytes": 12800, "flash_bytes": 3328, "weight_bytes": 1888, "macs": 123456, "cycles": 5432, "cpu_operators": 1, "npu_operators": 2},
     {"kws_ref_model_vela.tflite", "kws_ref_model_summary_internal-default.csv"}, "3.10.0", []),
    ("mcxn947", {"npu_operators": 8, "cpu_operators": 3}, {"kws_ref_model_npu.tflite"}, "2.0.2", []),
    ("stm32h7a3", {"weight_bytes": 45678, "activation_bytes": 9876, "ram_bytes": 9876, "macs": 1234567}, {"network_analyze_report.txt"}, "2.1.0", []),
    ("max78000", {"weight_bytes": 12345, "macs": 2300000}, {"cnn.c", "weights.h"}, "unknown", ["checkpoint", "network", "sample"]),
    ("cv1800b", {"ram_bytes": 1572864}, {"net.cvimodel"}, "1.17", ["onnx", "table"]),
    ("gap8", {}, {"model.c"}, "2.0", ["script"]),
    ("esp32-s3", {}, {"net.espdl", "net.info", "net.json"}, "1.2.4", ["script", "onnx"]),
]


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.bin = os.path.join(folder, "bin")
        os.mkdir(self.bin)
        for name in PROGRAMS:
            path = os.path.join(self.bin, name)
            with open(f"{VENDOR}/fake_tool.py", encoding="utf-8") as f, open(path, "w", encoding="utf-8") as g:
                g.write(f"#!{sys.executable}\n" + f.read().split("\n", 1)[1])  # one of them is called python3
            os.chmod(path, 0o755)
        self.count = os.path.join(folder, "count")
        self.n = 0

    def run(self, target, *extra, mode="", cache=None, path=None, model=MODEL, json_out=True, env=None):
        self.n += 1
        out = os.path.join(self.folder, f"out{self.n}")
        full = {**os.environ, "PATH": path or self.bin + ":" + os.environ["PATH"], "FAKE_HOME": VENDOR, "FAKE_MODE": mode, "FAKE_COUNT": self.count, **(env or {})}
        argv = [TOOL, "vendor", model, "--target", target, "--out", out, *(["--cache", cache] if cache else ["--no-cache"]), *(["--json"] if json_out else []), *extra]
        p = subprocess.run(argv, capture_output=True, env=full, timeout=60, check=False)
        return p.returncode, p.stdout.decode(), p.stderr.decode(), out

    def runs(self):
        return os.path.getsize(self.count) if os.path.exists(self.count) else 0


def withs(folder, names):
    args = []
    for n in names:
        with open(os.path.join(folder, n), "w", encoding="utf-8") as f:
            f.write(n)
        args += ["--with", f"{n}={folder}/{n}"]
    return args


def reports(t, b):
    for target, values, files, version, needs in EXPECTED:
        code, text, err, out = b.run(target, *withs(b.folder, needs))
        d = json.loads(text) if code == 0 else {}
        got = {k: v for k, v in d.get("values", {}).items() if v is not None}
        t.check(got == values, f"{target}: the numbers of the recorded report", (code, got, err))
        t.check(set(d.get("files", [])) == files and set(os.listdir(out)) == files, f"{target}: its files and nothing else", (d.get("files"), os.path.isdir(out) and os.listdir(out)))
        t.check(d.get("version") == version, f"{target}: version {version}", d.get("version"))


def vela_output(t, b):
    """A graph as Vela leaves it: one custom operator ethos-u, then a SOFTMAX on the CPU."""
    m = tw.Model()
    x, y, z = m.tensor([1, 4], 0.5, 0), m.tensor([1, 4], 0.5, 0), m.tensor([1, 4], 1 / 256, -128)
    m.op(32, [x], y)
    m.op(tw.SOFTMAX, [y], z, tw.float_options(1.0))
    codes = [tw.Table({0: ("b", 32), 1: tw.Vector("B", list(b"ethos-u")), 3: ("i", 32)}), tw.Table({0: ("b", 25), 3: ("i", 25)})]
    graph = tw.Table({0: tw.Vector("*", m.tensors), 1: tw.Vector("i", [x]), 2: tw.Vector("i", [z]), 3: tw.Vector("*", m.ops)})
    path = os.path.join(b.folder, "as_vela.tflite")
    with open(path, "wb") as f:
        f.write(tw.write(tw.Table({0: ("I", 3), 1: tw.Vector("*", codes), 2: tw.Vector("*", [graph]), 4: tw.Vector("*", m.buffers)})))
    code, text, err, _ = b.run("hx6538-we2", env={"FAKE_OUTPUT": path})
    want = [{"op": "ethos-u", "count": 1, "runs_on": "accelerator"}, {"op": "SOFTMAX", "count": 1, "runs_on": "cpu"}]
    t.check(code == 0 and json.loads(text)["operators"] == want, "the optimised model: ethos-u found, SOFTMAX stayed on the CPU", text + err)
    code, text, err, _ = b.run("hx6538-we2", env={"FAKE_OUTPUT": path}, json_out=False)
    t.check(code == 0 and "on the accelerator: 1 ethos-u" in text and "on the CPU: 1 SOFTMAX" in text, "the same as text", text + err)
    with open(path, "r+b") as f:
        f.truncate(200)
    code, text, err, _ = b.run("hx6538-we2", env={"FAKE_OUTPUT": path})
    t.check(code == 0 and json.loads(text)["operators"] is None and "cannot be listed" in err, "a damaged output is told, not read", text + err)


def faults(t, b):
    short = targets_with(b, "hx6538-we2", "deadline_s: 600", "deadline_s: 1")
    small = targets_with(b, "hx6538-we2", "memory_mib: 8192", "memory_mib: 512")
    for mode, words, extra in [("old", ["version 0.9.1"], []), ("mute", ["does not say its version"], []), ("die", ["status 3", "cannot read the network"], []),
                               ("signal", ["signal 9"], []), ("flood", ["more than 4 MiB"], []), ("garbage", ["no number for", "sram_memory_used"], []),
                               ("nothing", ["left no"], []), ("hang", ["within 1 s"], ["--targets-dir", short]), ("eat", ["MemoryError"], ["--targets-dir", small])]:
        start = time.monotonic()
        code, text, err, out = b.run("hx6538-we2", *extra, mode=mode)
        good = code == 1 and text == "" and all(w in err for w in words) and err.count("\n") == 1
        t.check(good, f"a tool that does \"{mode}\": one sentence, status 1", (code, text, err))
        t.check(not os.path.isdir(out) or os.listdir(out) == [], f"\"{mode}\": nothing is left behind", os.path.isdir(out) and os.listdir(out))
        t.check(time.monotonic() - start < 30, f"\"{mode}\": it ends", "")
    code, text, err, _ = b.run("hx6538-we2", path="/usr/bin:/bin")
    t.check(code == 1 and "vela is not installed" in err and "pip install ethos-u-vela" in err, "an absent tool: how to get it", (code, err))
    code, text, err, _ = b.run("gap8", path="/usr/bin:/bin", *withs(b.folder, ["script"]))
    t.check(code == 1 and "nntool is not installed" in err and "gap_sdk" in err, "an absent tool that another target needs", (code, err))
    code, text, err, _ = b.run("esp32-s3", mode="bare", *withs(b.folder, ["script", "onnx"]))
    t.check(code == 1 and "PackageNotFoundError" in err and "pip install esp-ppq" in err and err.count("\n") == 1, "an absent package of an interpreter that is there: how to get it", (code, err))
    code, text, err, _ = b.run("cv1800b", mode="mute", *withs(b.folder, ["onnx", "table"]))
    t.check(code == 1 and "does not say its version" in err, "a probe that names no version", (code, err))
    code, text, err, _ = b.run("max78000", *withs(b.folder, ["network", "sample"]))
    t.check(code == 1 and "checkpoint" in err and "--with checkpoint=FILE" in err, "a missing input is named", (code, err))
    code, text, err, _ = b.run("max78000", "--with", "nonsense=x")
    t.check(code == 2 and "nonsense" in err, "an input that the tool does not take: status 2", (code, err))
    code, text, err, _ = b.run("cortex-m4")
    t.check(code == 1 and "jf-model emit" in err, "a target without a tool says what compiles for it", (code, err))
    code, text, err, _ = b.run("hx6538-we2", model="/nonexistent.tflite")
    t.check(code == 1 and "/nonexistent.tflite" in err, "a model that does not exist", (code, err))


def targets_with(b, name, old, new):
    folder = tempfile.mkdtemp(dir=b.folder)
    with open(f"{ROOT}/compiler/targets/{name}.yaml", encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with open(f"{folder}/{name}.yaml", "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    return folder


def cache(t, b):
    place = os.path.join(b.folder, "cache")
    before = b.runs()
    _, first, _, out1 = b.run("hx6538-we2", cache=place)
    code, second, err, out2 = b.run("hx6538-we2", cache=place)
    a, c = json.loads(first), json.loads(second) if code == 0 else {}
    t.check(b.runs() == before + 1, "the second run does not call the tool", b.runs() - before)
    t.check(not a["cached"] and c.get("cached") is True and a["values"] == c["values"] and a["key"] == c["key"], "... and gives the same", (second, err))
    same = all(open(f"{out1}/{f}", "rb").read() == open(f"{out2}/{f}", "rb").read() for f in a["files"])
    t.check(same and os.listdir(out1).sort() == os.listdir(out2).sort(), "... with the same files", "")
    other = os.path.join(b.folder, "kws_ref_model.tflite")
    shutil.copy(f"{ROOT}/firmware/models/ad01_int8.tflite", other)
    _, third, _, _ = b.run("hx6538-we2", cache=place, model=other)
    t.check(json.loads(third)["key"] != a["key"] and b.runs() == before + 2, "another model under the same name is another result", third)
    changed = targets_with(b, "hx6538-we2", "--optimise, Performance", "--optimise, Size")
    _, fourth, _, _ = b.run("hx6538-we2", "--targets-dir", changed, cache=place)
    t.check(json.loads(fourth)["key"] != a["key"] and b.runs() == before + 3, "another command line is another result", fourth)
    with open(f"{place}/{a['key']}/result.json", "w", encoding="utf-8") as f:
        f.write("{")
    code, fifth, err, _ = b.run("hx6538-we2", cache=place)
    t.check(code == 0 and not json.loads(fifth)["cached"] and b.runs() == before + 4, "a damaged entry is not believed", fifth + err)
    for i in range(80):  # bounded: made-up old entries go, the fresh one stays
        os.mkdir(f"{place}/{i:064x}")
        os.utime(f"{place}/{i:064x}", (i, i))
    shutil.rmtree(f"{place}/{a['key']}")
    b.run("hx6538-we2", cache=place)
    left = os.listdir(place)
    t.check(len(left) == 64 and a["key"] in left and f"{0:064x}" not in left and f"{79:064x}" in left, "at most 64 entries, the oldest go first", len(left))
    code, _, err, _ = b.run("hx6538-we2", cache=place, mode="die", model=f"{ROOT}/firmware/models/vww_96_int8.tflite")
    t.check(code == 1 and len(os.listdir(place)) == 64 and not any(n.startswith("part-") for n in os.listdir(place)), "a failure is not kept", err)


def main():
    t = Tap()
    folder = tempfile.mkdtemp(prefix="jf-vendor-")
    try:
        b = Bench(folder)
        reports(t, b)
        vela_output(t, b)
        faults(t, b)
        cache(t, b)
    finally:
        shutil.rmtree(folder)
    return t.done()


sys.exit(main())
