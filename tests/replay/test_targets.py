#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model check, matrix and targets: the four MLPerf Tiny models against verdicts worked out by hand from the documents, random operators against a second
statement of the documents' limits written here as plain conditions, and target files with one mistake each. TAP."""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests")
sys.path.insert(0, f"{ROOT}/tests/replay")
import tflite_writer as tw
from tap import Tap

TOOL = f"{ROOT}/build/jf-model"
TARGETS = f"{ROOT}/compiler/targets"
MODELS = f"{ROOT}/firmware/models"
SCALES = {"power_of_two_scales", "zero_point_size", "weight_scales"}


def call(*argv, env=None):
    p = subprocess.run([TOOL, *argv], capture_output=True, timeout=60, check=False, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def check(model, target, *extra):
    code, text, err = call("check", model, "--target", target, "--json", *extra)
    return code, json.loads(text) if text else None, err


def rules_of(d, node=0):
    return {v["rule"] for v in d["violations"] if v.get("node", -1) == node}


# ---- the published models, by hand ----------------------------------------------------------------------------------------------
# Node numbers are those of the files. Sources: ai8x-synthesis README (limitations), Vela SUPPORTED_OPS.md 3.10, ESP-DL operator table.
HAND = [
    # stride 2 in the second and third stack (3x3 and 1x1 convolutions), SAME padding on stride 2 is asymmetric
    ("pretrainedResnet_quant", "max78000", "illegal", "illegal", {("stride_h", n) for n in (4, 6, 8, 10)} | {("stride_w", n) for n in (4, 6, 8, 10)} | {("pad_difference", n) for n in (4, 8)}),
    ("pretrainedResnet_quant", "max78002", "illegal", "illegal", {("stride_h", n) for n in (4, 6, 8, 10)} | {("stride_w", n) for n in (4, 6, 8, 10)} | {("pad_difference", n) for n in (4, 8)}),
    # ten dense layers of at most 640 neurons: 640 outputs with a bias, and the MAX78000 has 512 biases for a layer
    ("ad01_int8", "max78000", "illegal", "illegal", {("bias_channels", 9)}),
    ("ad01_int8", "max78002", "illegal", "legal", set()),
    # 10x4 kernel with stride 2 (padding 4 and 5 rows, 1 and 1 columns), four depthwise layers, pool 25x5
    ("kws_ref_model", "max78000", "illegal", "illegal",
     {("kernel_length", 0), ("kernel_difference", 0), ("stride_h", 0), ("stride_w", 0), ("pad_max", 0), ("pad_difference", 0), ("kernel_h", 9)} | {("operator", n) for n in (1, 3, 5, 7)}),
    ("kws_ref_model", "max78002", "illegal", "illegal",
     {("kernel_length", 0), ("kernel_difference", 0), ("stride_h", 0), ("stride_w", 0), ("pad_max", 0), ("pad_difference", 0), ("kernel_h", 9)}),
    # everything that they hold is an Ethos-U operator within its limits
    ("pretrainedResnet_quant", "hx6538-we2", "legal", "legal", set()), ("ad01_int8", "hx6538-we2", "legal", "legal", set()),
    ("kws_ref_model", "hx6538-we2", "legal", "legal", set()), ("vww_96_int8", "hx6538-we2", "legal", "legal", set()),
    # ESP-DL: per-tensor powers of two; else nothing is against them
    ("pretrainedResnet_quant", "esp32-s3", "illegal", "legal", set()), ("vww_96_int8", "esp32-s3", "illegal", "legal", set()),
    ("vww_96_int8", "stm32h7a3", "legal", "legal", set()), ("vww_96_int8", "cortex-m0plus", "legal", "legal", set()),
    ("vww_96_int8", "cv1800b", "undecided", "undecided", set()),
]
# weights + biases (the tables of the models' description less the shape operand of RESHAPE, 8 bytes), largest live activations
MEMORY = {"ad01_int8": (270880, 768), "kws_ref_model": (24376 - 8, 16000), "pretrainedResnet_quant": (78752 - 8, 49152), "vww_96_int8": (219072 - 8, 55296)}


def hand(t):
    for model, target, verdict, requantized, rules in HAND:
        code, d, err = check(f"{MODELS}/{model}.tflite", target)
        got = {(v["rule"], v.get("node", -1)) for v in d["violations"] if v["rule"] not in SCALES and v.get("op") != "SOFTMAX"}
        t.check(d["verdict"] == verdict and d["verdict_requantized"] == requantized, f"{model} on {target}: {verdict}, with other scales {requantized}",
                (d["verdict"], d["verdict_requantized"], sorted(got)))
        t.check(got == rules, f"{model} on {target}: these limits and no others", f"missing {sorted(rules - got)} surplus {sorted(got - rules)}")
        t.check(code == (0 if verdict == "legal" else 1), f"{model} on {target}: exit status", code)
        t.check((d["weights"]["bytes"], d["activations"]["bytes"]) == MEMORY[model], f"{model}: memory as published", (d["weights"], d["activations"]))
        full = all(v["source"] and v["limit"] for v in d["violations"])
        t.check(full, f"{model} on {target}: every violation has its limit and its source", d["violations"])
    code, d, _ = check(f"{MODELS}/vww_96_int8.tflite", "max78000")
    dw = [v["node"] for v in d["violations"] if v["rule"] == "operator" and v["op"] == "DEPTHWISE_CONV_2D"]
    t.check(len(dw) == 13, "vww on the MAX78000: thirteen depthwise convolutions", dw)


# ---- random operators against the documents, said a second time -----------------------------------------------------------------------
def same_pad(size, k, stride, dil):
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + (k - 1) * dil + 1 - size)
    return out, total // 2, total - total // 2


def random_window(r):
    kind = r.choice(["conv", "conv", "depthwise", "max", "average"])
    one = r.random() < 0.25  # one-dimensional
    k = [1 if one else r.choice([1, 1, 2, 3, 3, 5, 9, 17]), r.choice([1, 2, 3, 3, 4, 7, 9, 10, 17, 70] if one else [1, 2, 3, 3, 5, 9, 17])]
    if r.random() < 0.5 and not one:
        k[1] = k[0]
    s = {"kind": kind, "k": k, "stride": [r.choice([1, 1, 2, 3, 4]), r.choice([1, 1, 2, 3, 4])], "same": r.random() < 0.5, "act": r.choice([0, 1, 3]),
         "dil": [1, 1] if kind in ("max", "average") else [r.choice([1, 1, 1, 2, 20]), r.choice([1, 1, 1, 2, 20])], "ci": r.choice([1, 3, 8]), "mult": r.choice([1, 1, 2]), "co": r.choice([1, 4, 520]),
         "pow2": r.random() < 0.5, "zero": r.choice([0, 0, -5]), "bias": r.random() < 0.8}
    if r.random() < 0.5:
        s["stride"] = [1, 1]
    s["h"], s["w"] = (1 if one else (s["k"][0] - 1) * s["dil"][0] + r.randint(1, 9)), (s["k"][1] - 1) * s["dil"][1] + r.randint(1, 9)
    if one:
        s["dil"][0] = s["stride"][0] = 1
    return s


def build(s):
    m = tw.Model()
    pads, out = [], []
    for a in (0, 1):
        size = s["h"] if a == 0 else s["w"]
        if s["same"]:
            o, before, behind = same_pad(size, s["k"][a], s["stride"][a], s["dil"][a])
        else:
            o, before, behind = (size - ((s["k"][a] - 1) * s["dil"][a] + 1)) // s["stride"][a] + 1, 0, 0
        out.append(o)
        pads += [(before, behind)]
    s["pads"], s["out"] = pads, out
    sx, sw = (0.5, 0.25) if s["pow2"] else (0.3, 0.01)
    co = s["co"] if s["kind"] == "conv" else s["ci"] * (s["mult"] if s["kind"] == "depthwise" else 1)
    s["channels"] = co
    x = m.tensor([1, s["h"], s["w"], s["ci"]], sx, s["zero"])
    y = m.tensor([1, *out, co], sx, s["zero"])
    taps = s["k"][0] * s["k"][1]
    if s["kind"] in ("max", "average"):
        m.op(tw.MAX_POOL if s["kind"] == "max" else tw.AVERAGE_POOL, [x], y, tw.pool_options(s["stride"], s["same"], s["k"], s["act"]))
        return m.bytes([x], [y])
    b = m.tensor([co], tw.f32(sx * sw), 0, [0] * co, tw.I32) if s["bias"] else -1
    if s["kind"] == "conv":
        w = m.tensor([co, *s["k"], s["ci"]], sw, 0, [1] * (co * taps * s["ci"]))
        m.op(tw.CONV, [x, w, b], y, tw.conv_options(s["stride"], s["same"], s["act"], s["dil"]))
    else:
        w = m.tensor([1, *s["k"], co], sw, 0, [1] * (co * taps), axis=3)
        m.op(tw.DEPTHWISE, [x, w, b], y, tw.depthwise_options(s["stride"], s["same"], s["mult"], s["act"], s["dil"]))
    return m.bytes([x], [y])


def ai8x(s, second):
    """ai8x-synthesis README, limitations of MAX78000 (second: MAX78002) networks."""
    bad = set()
    k, st, dil, pads = s["k"], s["stride"], s["dil"], s["pads"]
    two_d = (s["h"] > 1 or k[0] > 1) and (s["w"] > 1 or k[1] > 1)
    one_d = not two_d and (s["h"] > 1 or k[0] > 1 or s["w"] > 1 or k[1] > 1)
    if not s["pow2"]:
        bad.add("power_of_two_scales")
    if s["zero"]:
        bad.add("zero_point_size")
    if max(s["h"], s["w"]) > (2047 if second else 1023):
        bad.add("rows_columns_max")
    if s["kind"] in ("max", "average"):
        bad |= {n for n, v in (("kernel_h", k[0]), ("kernel_w", k[1])) if v > 16}
        if st[0] != st[1] and two_d and s["out"] != [1, 1]:  # with one cell the stride means nothing
            bad.add("stride_difference")
        if any(p for pair in pads for p in pair):
            bad.add("pad_max")
        if s["act"] == 3:
            bad.add("fused_activation")
        return bad
    if s["kind"] == "depthwise" and not second:
        return {"operator"}  # refused before its limits matter
    if one_d:
        if max(k) > 9:
            bad.add("kernel_length")
    else:
        if max(k) not in (1, 3):
            bad.add("kernel_length")
        if k[0] != k[1]:
            bad.add("kernel_difference")
    bad |= {n for n, v in (("stride_h", st[0]), ("stride_w", st[1])) if v != 1}
    for n, v in (("dilation_h", dil[0]), ("dilation_w", dil[1])):
        if (not one_d and v > (16 if second else 1)) or (one_d and max(k) > 3 and v > 1 and s["kind"] == "conv"):
            bad.add(n)
    if any(p > 2 for pair in pads for p in pair):
        bad.add("pad_max")
    if any(a != b for a, b in pads):
        bad.add("pad_difference")
    if s["act"] == 3:
        bad.add("fused_activation")
    if s["kind"] == "conv" and not second and s["bias"] and s["co"] > 512:
        bad.add("bias_channels")
    if s["kind"] == "depthwise" and s["mult"] > 1:
        bad.add("depth_multiplier")
    # one of 64 processors holds 6912 (36864) bytes of kernels: with at most 64 input channels one channel's kernels for all outputs
    per_lane = k[0] * k[1] * (s["co"] if s["kind"] == "conv" else 1)
    if per_lane > (36864 if second else 6912):
        bad.add("memory")
    return bad


def vela(s):
    """SUPPORTED_OPS.md of Vela 3.10: what sends an operator to the CPU."""
    bad = set()
    k, st, dil = s["k"], s["stride"], s["dil"]
    dk = [(k[a] - 1) * dil[a] + 1 for a in (0, 1)]
    if s["kind"] in ("conv", "average"):
        bad |= {n for n, v in (("stride_h", st[0]), ("stride_w", st[1])) if v > 3 and s["out"][0] > 1}
    else:
        bad |= {n for n, v in (("stride_h", st[0]), ("stride_w", st[1])) if v > 3}
    if s["kind"] in ("conv", "depthwise"):
        if dk[0] > 64:
            bad.add("dilated_kernel_h")
        if dk[0] * dk[1] > 4096:
            bad.add("dilated_kernel_area")
        if s["kind"] == "depthwise" and s["mult"] > 1 and s["ci"] != 1:
            bad.add("in_channels")
    elif s["kind"] == "average" and any(p for pair in s["pads"] for p in pair):
        bad |= {n for n, v in (("kernel_h", k[0]), ("kernel_w", k[1])) if v > 8}
    return bad


def random_models(t, folder):
    r = random.Random(20260901)
    path = f"{folder}/one.tflite"
    seen, wrong = {}, []
    n = 160
    for i in range(n):
        s = random_window(r)
        with open(path, "wb") as f:
            f.write(build(s))
        for target, want in (("max78000", ai8x(s, False)), ("max78002", ai8x(s, True)), ("hx6538-we2", vela(s))):
            code, d, err = check(path, target)
            got = rules_of(d) if d else {err}
            cpu = target == "hx6538-we2"
            verdict = ("legal" if not want else "legal-with-cpu-fallback") if cpu else "illegal" if want else "legal"
            if got != want or d["verdict"] != verdict or code != (1 if verdict == "illegal" else 0):
                wrong.append((i, target, "surplus", sorted(got - want), "missing", sorted(want - got), d and d["verdict"], s))
            for rule in want:
                seen[target, rule] = seen.get((target, rule), 0) + 1
    t.check(not wrong, f"{n} random operators on three targets: exactly the documents' violations", "\n".join(map(str, wrong[:6])))
    t.check(len(seen) >= 25 and min(seen.values()) >= 1, "the random operators reach many of the limits", sorted(seen.items()))


def single(t, folder):
    def conv(name, **k):
        s = {"kind": "conv", "k": [3, 3], "stride": [1, 1], "same": True, "act": 1, "dil": [1, 1], "ci": 8, "mult": 1, "co": 8, "pow2": True, "zero": 0, "bias": True, "h": 8, "w": 8, **k}
        with open(f"{folder}/{name}.tflite", "wb") as f:
            f.write(build(s))
        return f"{folder}/{name}.tflite"

    good = conv("good")
    for target in ("max78000", "max78002", "esp32-s3", "gap8", "mcxn947"):
        code, d, err = check(good, target)
        t.check(code == 0 and d["verdict"] == "legal" and not d["violations"], f"a plain 3x3 convolution with power-of-two scales is legal on {target}", (d, err))
    # the document's numbers, each with the last value that is allowed and the first that is not
    for name, inside, beyond, rules in [
            ("padding of 2", {"k": [1, 5], "h": 1}, {"k": [1, 7], "h": 1}, {"pad_max"}),
            ("one-dimensional kernels of 9", {"k": [1, 9], "h": 1, "w": 20, "same": False}, {"k": [1, 10], "h": 1, "w": 20, "same": False}, {"kernel_length"}),
            ("pools of 16", {"kind": "max", "k": [16, 16], "h": 20, "w": 20, "same": False}, {"kind": "max", "k": [17, 16], "h": 20, "w": 20, "same": False}, {"kernel_h"}),
            ("pool strides of 16", {"kind": "max", "k": [1, 1], "stride": [16, 16], "h": 40, "w": 40, "same": False},
             {"kind": "max", "k": [1, 1], "stride": [17, 17], "h": 40, "w": 40, "same": False}, {"stride_h", "stride_w"}),
            ("512 biases", {"co": 512}, {"co": 513}, {"bias_channels"}),
            ("1024 channels", {"k": [1, 1], "co": 1024, "bias": False, "h": 2, "w": 2}, {"k": [1, 1], "co": 1025, "bias": False, "h": 2, "w": 2}, {"out_channels"}),
            ("1023 columns", {"k": [1, 3], "h": 1, "w": 1023}, {"k": [1, 3], "h": 1, "w": 1024}, {"rows_columns_max"})]:
        good_d, bad_d = check(conv("in", **inside), "max78000")[1], check(conv("out", **beyond), "max78000")[1]
        t.check(good_d["verdict"] == "legal" and {v["rule"] for v in bad_d["violations"]} == rules, f"MAX78000: {name}, and no more", (good_d["violations"], bad_d["violations"]))
    for n in (32, 33):
        m = tw.Model()
        tensors = [m.tensor([1, 2, 2, 1], 0.5, 0) for _ in range(n + 1)]
        for i in range(n):
            m.op(tw.CONV, [tensors[i], m.tensor([1, 1, 1, 1], 0.5, 0, [1]), -1], tensors[i + 1], tw.conv_options([1, 1], False, 0))
        with open(f"{folder}/deep.tflite", "wb") as f:
            f.write(m.bytes([tensors[0]], [tensors[n]]))
        d, e = check(f"{folder}/deep.tflite", "max78000")[1], check(f"{folder}/deep.tflite", "max78002")[1]
        t.check([v["rule"] for v in d["violations"]] == (["layers"] if n == 33 else []) and d["layers"] == n and e["verdict"] == "legal", f"{n} layers: 32 on the MAX78000, 128 on the MAX78002", d)
    dw = conv("dw", kind="depthwise")
    t.check(check(dw, "max78000")[1]["verdict"] == "illegal" and check(dw, "max78002")[1]["verdict"] == "legal", "depthwise: illegal on the MAX78000, legal on the MAX78002", "")
    odd = conv("odd", pow2=False)
    code, d, _ = check(odd, "max78000")
    v = d["violations"]
    t.check(code == 1 and d["verdict"] == "illegal" and d["verdict_requantized"] == "legal" and [x["rule"] for x in v] == ["power_of_two_scales"] and v[0]["effect"] == "requantize"
            and "requantize" in v[0]["change"], "arbitrary scales: illegal as it is, legal after requantization, and the change says so", d)
    big = conv("big", h=100, w=100, ci=3)  # 10,000 pixels: the input (first layer) fits 32,768; the output of 8 channels: 4 bytes x 10,000 > 32,768
    t.check({x["rule"] for x in check(big, "max78000")[1]["violations"]} == {"memory"}, "a channel that does not fit one data memory of the MAX78000", check(big, "max78000")[1])
    t.check(check(big, "max78002")[1]["verdict"] == "legal", "... and does fit one of the MAX78002 (80 KiB)", "")
    heavy = conv("heavy", co=520, ci=130, bias=False)  # 608,400 bytes of weights > 432 KiB; 3 passes of 520 kernels of 9 bytes > 6,912 bytes
    t.check({(x["rule"], x.get("node")) for x in check(heavy, "max78000")[1]["violations"]} == {("memory", 0), ("weight_bytes", None)}, "weights beyond the kernel memory", check(heavy, "max78000")[1])
    code, text, _ = call("check", odd, "--target", "max78000")
    text += call("check", f"{MODELS}/vww_96_int8.tflite", "--target", "max78000")[1]
    t.check("nodes 0, 2, 4, 6" in text and "nodes 0 to 29: 128" not in text, "nodes of one limit and value stand in one line", text)
    t.check(code == 1 and "illegal (with the scales that the target wants: legal)" in text and "change:" in text and "source:" in text and "node 0 (CONV_2D): 0" in text, "the same as text", text)


def lists(t):
    code, text, err = call("targets")
    names = [line.split()[0] for line in text.splitlines()]
    files = sorted(f[:-5] for f in os.listdir(TARGETS) if f.endswith(".yaml"))
    t.check(code == 0 and names == files and len(files) >= 14, "targets lists every file", (names, err))
    for name in files:
        code, text, err = call("targets", name)
        t.check(code == 0 and name in text, f"{name}: its file is read without a mistake", err)
    code, text, _ = call("targets", "--json")
    partial = [x for x in json.loads(text)["targets"] if x["maturity"] == "partial"]
    t.check(partial and all(x["unknown"] for x in partial), "partial targets say what is not known", partial)
    models = [f"{MODELS}/{m}.tflite" for m in MEMORY]
    code, text, err = call("matrix", *models)
    t.check(code == 0 and all(f"{m}.tflite: " in text for m in MEMORY) and sum(bool(re.match(r"  max7800[02] ", x)) for x in text.splitlines()) == 8, "matrix: models x targets", text + err)
    t.check(all(len(x) <= 140 for x in text.splitlines()), "matrix fits a terminal", max(map(len, text.splitlines())))
    code, text, _ = call("matrix", *models, "--json")
    d = json.loads(text)["models"]
    same = all(check(f"{MODELS}/{m['model']}", row["target"])[1]["verdict"] == row["verdict"] for m in d[:2] for row in m["targets"])
    code, text, _ = call("matrix", *models, "--summary")
    cells = {x.split()[0]: x.split()[1:] for x in text.splitlines() if x.split(" ")[0] in [f["target"] for f in d[0]["targets"]]}
    words = {"legal": "legal", "legal-with-cpu-fallback": "cpu", "undecided": "?", "illegal": "no"}
    want = {f["target"]: [words[r["verdict"]] if r["verdict"] != "illegal" or r["verdict_requantized"] == "illegal" else "scales" for m in d for r in m["targets"] if r["target"] == f["target"]]
            for f in d[0]["targets"]}
    t.check(code == 0 and cells == want, "matrix --summary: the same verdicts in one word", (cells, want))
    t.check(len(d) == 4 and all(len(m["targets"]) == len(files) for m in d) and same, "matrix --json: the verdicts that check gives", "")
    with open(f"{TARGETS}/README.md", encoding="utf-8") as f:
        readme = f.read()
    code, text, _ = call("targets", "--quantities")
    quantities = [line.split()[0] for line in text.splitlines()]
    missing = [q for q in quantities if f"`{q}`" not in readme]
    t.check(code == 0 and len(quantities) > 30 and not missing, "every quantity is explained in compiler/targets/README.md", missing)


# ---- files with one mistake -----------------------------------------------------------------------------------------------------
BASE = """name: mine
title: A made-up chip
maturity: documented
sources:
  book: "its datasheet, revision 3"
fallback: none
memories:
  - {name: flash, bytes: 65536, holds: [weights], source: book}
operators:
  - ops: [CONV_2D]
    source: book
    limits:
      - {quantity: stride_h, in: [1], source: book}
"""
BAD = [
    ("an unknown field", "title:", "titel:", 2, "titel"),
    ("a field given twice", "fallback: none", "fallback: none\nfallback: cpu", 7, "twice"),
    ("another name than the file's", "name: mine", "name: yours", 1, "yours"),
    ("an unknown maturity", "maturity: documented", "maturity: rumour", 3, "rumour"),
    ("partial without saying what is unknown", "maturity: documented", "maturity: partial", 1, "unknown"),
    ("an unknown fallback", "fallback: none", "fallback: maybe", 6, "maybe"),
    ("a memory size that is no number", "bytes: 65536", "bytes: lots", 8, "memories[0].bytes"),
    ("a memory that holds something else", "holds: [weights]", "holds: [hopes]", 8, "hopes"),
    ("an operator that does not exist", "ops: [CONV_2D]", "ops: [CONV_9D]", 10, "CONV_9D"),
    ("a quantity that does not exist", "quantity: stride_h", "quantity: stride_q", 13, "stride_q"),
    ("a limit that bounds nothing", "in: [1], ", "", 13, "bounds nothing"),
    ("min above max", "in: [1]", "min: 3, max: 2", 13, "above max"),
    ("a limit without its source", ", source: book}\n", "}\n", None, "source"),
    ("a source that is not listed", "in: [1], source: book", "in: [1], source: hearsay", 13, "hearsay"),
    ("a model's quantity in an operator", "quantity: stride_h", "quantity: layers", 13, "quantity of the model"),
    ("a condition that bounds nothing", "in: [1], source", "in: [1], when: [{quantity: out_h}], source", 13, "bounds nothing"),
    ("an unknown consequence", "in: [1], source", "in: [1], otherwise: shrug, source", 13, "shrug"),
    ("operators missing", "operators:\n", "other:\n", None, "other"),
    ("operators unknown but not said so", BASE[BASE.index("operators:"):], "operators: unknown\n", 9, "unknown"),
    ("broken YAML", "fallback: none", "fallback: [none", None, ""),
    ("anchors", "fallback: none", "fallback: &a none\nsplit_arena: *a", None, "anchors"),
    ("a file that contains itself", BASE, "&a\nname: mine\noperators: [*a]\n", None, "anchors"),
    ("a tool with a word that nobody fills in", None, 'tool: {name: x, install: y, source: book, deadline_s: 1, memory_mib: 16, outputs: [a], steps: [{argv: [x, "{modle}"]}]}\n', 14, "{modle}"),
    ("a tool without a deadline", None, 'tool: {name: x, install: y, source: book, memory_mib: 16, outputs: [a], steps: [{argv: [x]}]}\n', 14, "deadline_s"),
    ("a report field that does not exist", None,
     'tool: {name: x, install: y, source: book, deadline_s: 1, memory_mib: 16, outputs: [a], steps: [{argv: [x]}], reports: [{format: lines, fields: [{field: beauty, key: k}]}]}\n', 14, "beauty"),
    ("an empty file", BASE, " ", None, ""),
    ("a list instead of a map", BASE, "- a\n", 1, "map"),
]


def mistakes(t, folder):
    path = f"{folder}/mine.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(BASE)
    t.check(call("targets", "mine", "--targets-dir", folder)[0] == 0, "the file without a mistake is read", call("targets", "mine", "--targets-dir", folder))
    for name, old, new, line, word in BAD:
        assert old is None or old in BASE, name
        with open(path, "w", encoding="utf-8") as f:
            f.write(BASE + new if old is None else BASE.replace(old, new, 1))
        code, text, err = call("targets", "mine", "--targets-dir", folder)
        where = re.search(r"mine\.yaml:(\d+)", err)
        good = code == 1 and text == "" and where and word in err and (line is None or int(where.group(1)) == line)
        t.check(good, f"{name}: file, line and field", (code, err))
    with open(path, "w", encoding="utf-8") as f:
        f.write(BASE.ljust(300 << 10, "#"))
    t.check(call("targets", "mine", "--targets-dir", folder)[0] == 1, "a file beyond 256 KiB is refused", "")
    code, _, err = call("targets", "nosuch")
    t.check(code == 1 and "nosuch" in err and "max78000" in err, "a target that there is not: the names that there are", err)
    code, _, err = call("targets", "--targets-dir", "/nonexistent")
    t.check(code == 1 and "/nonexistent" in err, "a directory that does not exist", err)
    code, text, _ = call("targets", env={"JOULEFARM_TARGETS": folder})
    t.check(code == 1, "JOULEFARM_TARGETS is looked into", text)


def recipe(t, folder):
    """The recipe of CONTRIBUTING.md, "Add a target": its file is read, and its limits bite."""
    with open(f"{ROOT}/CONTRIBUTING.md", encoding="utf-8") as f:
        section = f.read().split("## Add a target")[1].split("\n## ")[0]
    text = re.search(r"```yaml\n(.*?)```", section, re.S).group(1)
    name = re.search(r"^name: (\S+)", text, re.M).group(1)
    os.mkdir(f"{folder}/recipe")
    with open(f"{folder}/recipe/{name}.yaml", "w", encoding="utf-8") as f:
        f.write(text)
    code, listed, err = call("targets", name, "--targets-dir", f"{folder}/recipe")
    t.check(code == 0 and name in listed, "the recipe's file is read", err)
    code, d, err = check(f"{MODELS}/pretrainedResnet_quant.tflite", name, "--targets-dir", f"{folder}/recipe")
    t.check(code == 1 and d["verdict"] == "illegal" and "stride_h" in {v["rule"] for v in d["violations"]}, "... and refuses a stride of 2, as the recipe says", d or err)
    code, d, err = check(f"{folder}/good.tflite", name, "--targets-dir", f"{folder}/recipe")
    t.check(code == 0 and d["verdict"] == "legal", "... and takes a plain convolution", d or err)


def usage(t):
    for argv in (["check"], ["check", f"{MODELS}/ad01_int8.tflite"], ["matrix"], ["vendor", f"{MODELS}/ad01_int8.tflite", "--target", "gap8"], ["targets", "a", "b"], ["check", "--nonsense"]):
        code, text, err = call(*argv)
        t.check(code == 2 and text == "" and "jf-model" in err, f"wrong usage, status 2: {' '.join(argv)[:40]}", (code, err))
    code, _, err = check("/nonexistent.tflite", "gap8")
    t.check(code == 1 and "/nonexistent.tflite" in err, "a model that does not exist: status 1", err)


def main():
    t = Tap()
    folder = tempfile.mkdtemp(prefix="jf-targets-")
    try:
        hand(t)
        random_models(t, folder)
        single(t, folder)
        lists(t)
        mistakes(t, folder)
        recipe(t, folder)
        usage(t)
    finally:
        shutil.rmtree(folder)
    return t.done()


sys.exit(main())
