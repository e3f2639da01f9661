#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model (numerics litert) beside two executors that share nothing with it: every layer of nine networks and thousands of random models of
one operator equal TensorFlow Lite (tfjs-tflite: XNNPACK and the built-in kernels) byte by byte; Arm NN's float rounding differs at exact
halves only. MODELS: random models per operator (default 80), SEEDS: inputs per network (default 1). TAP."""
import collections
import json
import math
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, f"{ROOT}/tests/replay", f"{ROOT}/tests", f"{ROOT}/compiler/models"]
import operator_cases  # noqa: E402
import oracles  # noqa: E402
import paper  # noqa: E402
import test_model_exact as exact  # noqa: E402
import tflite_reader  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = f"{ROOT}/build/jf-model"
MODELS, SEEDS = int(os.environ.get("MODELS", "80")), int(os.environ.get("SEEDS", "1"))
MLPERF = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8")
CASES = {**operator_cases.CASES, "convolution": lambda r: exact.conv_case(r, False), "depthwise convolution": lambda r: exact.conv_case(r, True), "dense": exact.dense_case,
         "add two branches": exact.add_case, "average pool": lambda r: exact.pool_case(r, False), "max pool": lambda r: exact.pool_case(r, True), "softmax": exact.softmax_case}


def elements(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def own_layers(folder, path, seed):
    """(index of the tensor, its name, its bytes) of every layer in order."""
    out = f"{folder}/layers.json"
    subprocess.run([TOOL, "run", path, "--numerics", "litert", "--input", f"lcg:{seed}", "--layers", out, "--crc"], check=True, stdout=subprocess.DEVNULL, timeout=120)
    with open(out, encoding="ascii") as f:
        return [(y["index"], y["tensor"], bytes(v & 255 for v in y["values"])) for y in json.load(f)["layers"]]


def signed(b):
    return b - 256 if b > 127 else b


def networks(t, folder, tfjs, arm):
    paths = [f"{ROOT}/firmware/models/{m}.tflite" for m in MLPERF]
    for name in paper.MODELS:
        paths.append(f"{folder}/paper_{name}.tflite")
        with open(paths[-1], "wb") as f:
            f.write(paper.build(name).bytes())
    for path in paths:
        name = os.path.basename(path).rsplit(".", 1)[0]
        with open(path, "rb") as f:
            data = f.read()
        g = tflite_reader.Model(data)
        wrong, layers, values, far, first_off = "", 0, 0, 0, 0
        for seed in range(1, SEEDS + 1):
            x = oracles.lcg(seed, elements(g.tensors[g.inputs[0]].shape))
            own = [y for y in own_layers(folder, path, seed) if y[0] < len(g.tensors)]
            wanted = [i for i, _, _ in own]
            for (_, n, v), want in zip(own, tfjs.run(data, [x], wanted)):
                layers += 1
                values += len(v)
                if v != want and not wrong:
                    wrong = f"seed {seed}, {n}: {sum(p != q for p, q in zip(v, want))} of {len(v)} values differ"
            if seed > 1:
                continue
            first = True
            for (_, _, v), got in zip(own, arm.run(data, [x], wanted)):
                differing = [abs(signed(p) - signed(q)) for p, q in zip(v, got) if p != q]
                if differing and first:  # before anything is propagated: a half rounded the other way
                    first, first_off = False, len(differing)
                    far = max(differing)
        t.check(not wrong and layers == SEEDS * len(g.operators), f"{name}: {layers} layers, {values} values equal tfjs-tflite", wrong)
        t.check(far <= 1 and first_off <= 8, f"{name}: Arm NN differs by halves only (in the first layer that differs {first_off} values, by one)", (far, first_off))


def stride_beyond_kernel(g):
    """SAME padding with a stride larger than the window: the XNNPACK inside tfjs-tflite 0.0.1-alpha.10 then reads padding only (all
    positions of a channel come out equal). Arm NN decides those."""
    op = g.operators[-1]
    if op.code not in (3, 4) or op.options.scalar(0, "b") != 0:
        return False
    w = g.tensors[op.inputs[1]].shape
    return op.options.scalar(2, "i") > w[1] or op.options.scalar(1, "i") > w[2]


def curve_on_a_half(g, x, got, want):
    """Whether all that differs is LOGISTIC by one step where the real function lies within 1e-4 of a half: there the last bit of the
    C library's expf decides, and WebAssembly's is not the host's."""
    t = g.tensors[g.inputs[0]]
    for q, a, b in zip(x, got, want):
        real = 256 / (1 + math.exp(-t.scales[0] * (signed(q) - t.zeros[0])))
        if a != b and (g.operators[-1].code != 14 or abs(signed(a) - signed(b)) != 1 or abs(real % 1 - 0.5) > 1e-4):
            return False
    return len(got) == len(want)


def random_models(t, folder, tfjs, arm):
    path = f"{folder}/one.tflite"
    for name, make in CASES.items():
        r = random.Random(f"oracle {name}")
        wrong, values, other, halves, kernels = "", 0, 0, 0, collections.Counter()
        for i in range(MODELS):
            model, _ = make(r)
            g = tflite_reader.Model(model)
            x = oracles.lcg(5, elements(g.tensors[g.inputs[0]].shape))
            with open(path, "wb") as f:
                f.write(model)
            p = subprocess.run([TOOL, "run", path, "--json", "--numerics", "litert", "--input", "lcg:5"], capture_output=True, timeout=20, check=False)
            got = bytes(v & 255 for v in json.loads(p.stdout)["output"]) if p.returncode == 0 else p.stderr
            want = tfjs.run(model, [x], None, True)[0]
            kernels.update("XNNPACK" if k["type"].startswith("TfLiteXNN") else "built-in" for k in tfjs.kernels)
            if got != want and stride_beyond_kernel(g):
                want, other = arm.run(model, [x])[0], other + 1
            values += len(want)
            if got != want and curve_on_a_half(g, x, got, want):
                want, halves = got, halves + 1
            if got != want and not wrong:
                wrong = f"model {i}: got {list(got)[:40]}, want {list(want)[:40]}"
        by = ", ".join(f"{k} {n}" for k, n in sorted(kernels.items()))
        t.check(not wrong and values > MODELS, f"{name}: {MODELS} random models, {values} values equal tfjs-tflite ({by})" + (f", {other} of them Arm NN" if other else "") +
                (f", {halves} values on a half aside" if halves else ""), wrong)


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        tfjs, arm = oracles.Tfjs(), oracles.ArmNN(folder)
        try:
            random_models(t, folder, tfjs, arm)
            networks(t, folder, tfjs, arm)
        finally:
            tfjs.close()
            arm.close()
    return t.done()


sys.exit(main())
