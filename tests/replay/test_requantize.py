#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model requantize and diff: scales, errors and top-1 agreement of random small models against the rule computed with exact arithmetic
here; real networks; what is refused. TAP."""
import json
import math
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import exactnet as net  # noqa: E402
import tflite_writer as fm  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = f"{ROOT}/build/jf-model"
SET = 6


def run(*args):
    p = subprocess.run([TOOL, *args], capture_output=True, text=True, timeout=60, check=False)
    return p.returncode, p.stdout, p.stderr


def exponent(value):
    """The smallest e at which value is at most 127.5 steps of 2^e."""
    e = -60
    while value > 127.5 * 2.0 ** e:
        e += 1
    return e


def dense_model(r):
    c = {"in_n": r.randint(2, 20), "out_n": r.randint(2, 6), "sx": fm.f32(2.0 ** r.uniform(-6, 0)), "sw": fm.f32(2.0 ** r.uniform(-9, -3)), "zx": r.randint(-128, 127),
         "zo": r.randint(-60, 60), "act": r.choice([0, 1])}
    c["so"] = fm.f32(c["sx"] * c["sw"] * c["in_n"] * 40)
    w = [r.randint(-127, 127) for _ in range(c["in_n"] * c["out_n"])]
    bias = [r.randint(-3000, 3000) for _ in range(c["out_n"])]
    m = fm.Model()
    x = m.tensor([1, c["in_n"]], c["sx"], c["zx"])
    wt = m.tensor([c["out_n"], c["in_n"]], c["sw"], 0, w)
    b = m.tensor([c["out_n"]], fm.f32(c["sx"] * c["sw"]), 0, bias, fm.I32)
    y = m.tensor([1, c["out_n"]], c["so"], c["zo"])
    m.op(fm.DENSE, [x, wt, b], y, {0: ("b", c["act"])})
    return m.bytes([x], [y]), c, w, bias


def expected(c, w, bias):
    """The requantized layer and its errors on the set, from the rule."""
    inputs = [net.lcg(s, c["in_n"]) for s in range(1, SET + 1)]
    first = [net.dense(x, w, bias, c, fm.f32) for x in inputs]
    ex = exponent(max((127 - c["zx"]) * c["sx"], (128 + c["zx"]) * c["sx"]))
    eo = exponent(max(abs(q - c["zo"]) * c["so"] for y in first for q in y))
    ew = exponent(max(abs(q) for q in w) * c["sw"])
    d = {**c, "sx": 2.0 ** ex, "sw": 2.0 ** ew, "so": 2.0 ** eo, "zx": 0, "zo": 0}
    w2 = [max(-127, min(127, round(q * c["sw"] / d["sw"]))) for q in w]
    unit = fm.f32(c["sx"] * c["sw"])
    b2 = [round(q * unit / (d["sx"] * d["sw"])) for q in bias]
    errors, agree = [], 0
    for x, y in zip(inputs, first):
        x2 = [max(-128, min(127, round((q - c["zx"]) * c["sx"] / d["sx"]))) for q in x]
        y2 = net.dense(x2, w2, b2, d, fm.f32)
        errors.append([abs((p - c["zo"]) * c["so"] - q * d["so"]) for p, q in zip(y, y2)])
        agree += y.index(max(y)) == y2.index(max(y2))
    flat = [e for row in errors for e in row]
    return eo, max(flat), sum(flat) / len(flat), agree


def small_models(t, folder):
    r, wrong, distinct = random.Random(11), "", set()
    for i in range(60):
        model, c, w, bias = dense_model(r)
        with open(f"{folder}/r.tflite", "wb") as f:
            f.write(model)
        code, out, err = run("requantize", f"{folder}/r.tflite", "--set", f"lcg:{SET}", "--json")
        eo, largest, mean, agree = expected(c, w, bias)
        got = json.loads(out) if code == 0 else {}
        row = got.get("layers", [{}])[0]
        distinct.add(eo)
        if not (code == 0 and row["scale_exponent"] == eo and math.isclose(row["max_error"], largest, rel_tol=1e-9, abs_tol=1e-12)
                and math.isclose(row["mean_error"], mean, rel_tol=1e-9, abs_tol=1e-12) and got["top1_agreeing"] == agree and got["inputs"] == SET):
            wrong = wrong or f"model {i}: {err} {row} {got.get('top1_agreeing')}, expected {(eo, largest, mean, agree)}"
    t.check(not wrong and len(distinct) > 5, "60 random layers: exponents, largest and mean errors, top-1 agreement as the rule computes them exactly", wrong)


def networks(t, folder):
    path = f"{ROOT}/firmware/models/kws_ref_model.tflite"
    code, out, err = run("requantize", path, "--set", "lcg:4", "--out", folder, "--name", "kwsp2", "--json")
    got = json.loads(out) if code == 0 else {"layers": []}
    alike = {y["scale_exponent"] for y in got["layers"][8:11]}  # the last convolution, pooling and reshape share a quantization
    t.check(code == 0 and len(got["layers"]) == 13 and len(alike) == 1 and all(y["scale_exponent"] > -60 and 0 < y["mean_error"] < 0.2 * y["largest_value"] for y in got["layers"][:9]),
            "kws: every layer has a power of two, errors are told, what must be quantized alike is", (err, out[:400]))
    with open(f"{folder}/jfm_kwsp2.c", encoding="ascii") as f:
        text = f.read()
    source = json.loads(run("run", path, "--json")[1])["model_sha256"]
    t.check(source not in text and "jfm_kwsp2" in text, "the emitted model does not carry the source's hash: it is another model")
    same = run("requantize", path, "--set", "lcg:4", "--json")[1]
    t.check(json.loads(same) == got, "the same report again")


def refusals(t, folder):
    path = f"{ROOT}/firmware/models/kws_ref_model.tflite"
    os.makedirs(f"{folder}/empty")
    os.makedirs(f"{folder}/short")
    with open(f"{folder}/short/a.bin", "wb") as f:
        f.write(b"\0" * 3)
    for name, args, status, word in (("no such folder", ("--set", f"{folder}/nowhere"), 1, "nowhere"), ("an empty folder", ("--set", f"{folder}/empty"), 1, "no files"),
                                     ("an input of the wrong size", ("--set", f"{folder}/short"), 1, "490"), ("a set of nothing", ("--set", "lcg:0"), 1, "lcg:COUNT"),
                                     ("--out without --name", ("--out", folder), 2, "--name"), ("unknown numerics", ("--numerics", "half"), 2, "half")):
        code, out, err = run("requantize", path, *args)
        t.check(code == status and word in err and not out, f"requantize: {name}", (code, err))


def diff(t, folder):
    kws, ad = (f"{ROOT}/firmware/models/{m}.tflite" for m in ("kws_ref_model", "ad01_int8"))
    code, out, _ = run("diff", kws, kws, "--json")
    d = json.loads(out)
    t.check(code == 0 and d["equal"] and d["top1_agrees"] and len(d["layers"]) == 13, "diff: a model equals itself", out[:300])
    code, out, _ = run("diff", kws, kws, "--numerics-b", "litert", "--json")
    d = json.loads(out)
    # 44 and 36, the published last outputs of the two numerics: 8 steps in 2 of 12 values
    t.check(code == 3 and not d["equal"] and d["layers"][-1]["differing"] == 2 and d["layers"][-1]["max_steps"] == 8 and d["layers"][-1]["first"] == 9, "diff: the two numerics, status 3", d["layers"][-1])
    answers = f"{folder}/a.json"
    run("run", kws, "--layers", answers, "--crc")
    t.check(run("diff", kws, answers)[0] == 0, "diff: a model and the answers of its run")
    with open(answers, encoding="ascii") as f:
        doc = json.load(f)
    lines = [f"noise m-jf-layer-[{i},{y['elements']},{y['crc32']}]\r\n" for i, y in enumerate(doc["layers"])]
    board = f"{folder}/board.txt"

    def transcript(text):
        with open(board, "w", encoding="ascii", newline="") as f:
            f.write(text)
        return run("diff", kws, board, "--json")

    code, out, _ = transcript("m-ready\r\n" + "".join(lines) + "m-ready\r\n")
    t.check(code == 0 and json.loads(out)["layers_compared"] == 13, "diff: a board's checksums, all equal", out[:200])
    code, out, _ = transcript("".join(lines).replace(doc["layers"][5]["crc32"], "00000000"))
    d = json.loads(out)
    t.check(code == 3 and [i for i, y in enumerate(d["layers"]) if not y["equal"]] == [5] and d["layers"][5]["max_steps"] is None, "diff: the one layer that a board computed differently", out[:300])
    for name, text, word in (("a layer missing", "".join(lines[:5] + lines[6:]), "line 6: layer 6 where 5"), ("half an answer", "".join(lines[:5]), "5"), ("a line that is cut", lines[0][:-8], "line 1"),
                             ("no layer at all", "m-ready\n", "no layer"), ("another network's", lines[0].replace("[0,8000", "[0,17"), "")):
        code, out, err = transcript(text)
        t.check(code == 1 and word in err and not out, f"diff: {name} is refused", (code, err))
    doc["layers"][3]["values"][7] ^= 1
    with open(answers, "w", encoding="ascii") as f:
        json.dump(doc, f)
    code, _, err = run("diff", kws, answers)
    t.check(code == 1 and "layers[3]" in err, "diff: answers whose checksum contradicts the values", err)
    code, _, err = run("diff", kws, ad)
    t.check(code == 1 and "not runs of one network" in err, "diff: two unlike networks", err)


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        small_models(t, folder)
        networks(t, folder)
        refusals(t, folder)
        diff(t, folder)
    return t.done()


sys.exit(main())
