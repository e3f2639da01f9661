#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model run on hundreds of small random models of every operator (operator_cases.py) against exact rational arithmetic. TAP."""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import exactops as ex  # noqa: E402
import operator_cases  # noqa: E402
import tflite_writer as fm  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-model")
SEED, MODELS = 20261121, int(os.environ.get("MODELS", "200"))


def run(path, numerics="tflm"):
    p = subprocess.run([TOOL, "run", path, "--json", "--input", "lcg:5", "--numerics", numerics], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    return json.loads(p.stdout)["output"] if p.returncode == 0 else p.stderr.decode()


def multipliers(t, folder):
    """The three multipliers and shifts of emitted ADDs and SUBs: SUB's come from single precision, which outputs alone would hardly ever show."""
    r, wrong, differ = random.Random(SEED), "", 0
    for i in range(80):
        code, kind = ((fm.ADD, "add"), (fm.SUB, "sub"))[i % 2]
        m, (sa, sb, so) = fm.Model(), (operator_cases.scale(r) for _ in range(3))
        x, y, z = m.tensor([1, 2], sa, 0), m.tensor([1, 2], sb, 0, [1, 2]), m.tensor([1, 2], so, 0)
        m.op(code, [x, y], z, fm.activation_options(0))
        with open(f"{folder}/m.tflite", "wb") as f:
            f.write(m.bytes([x], [z]))
        p = subprocess.run([TOOL, "emit", f"{folder}/m.tflite", "--name", "m", "--out", folder], stderr=subprocess.PIPE, timeout=20, check=False)
        with open(f"{folder}/jfm_m.c", encoding="ascii") as f:
            row = [int(v) for v in re.search(r"struct jfk_add n0 = {([-\d, ]+?), 0};", f.read()).group(1).split(",")]
        got, want = list(zip(row[4:7], row[7:10])), ex.sum_multipliers(kind, sa, sb, so)
        differ += want != ex.sum_multipliers("sub" if kind == "add" else "add", sa, sb, so)
        if p.returncode or got != want:
            wrong = wrong or f"model {i} {kind}: {got}, want {want} {p.stderr}"
    t.check(not wrong and differ > 0, f"80 emitted multipliers of ADD and SUB equal exact arithmetic; for {differ} the two operators' rules differ", wrong)


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/one.tflite"
        for name in operator_cases.CASES:
            wrong, values, distinct = "", 0, set()
            for i, (model, want) in enumerate(operator_cases.cases(name, SEED, MODELS)):
                with open(path, "wb") as f:
                    f.write(model)
                got = run(path)
                values += len(want)
                distinct.update(want)
                if got != want and not wrong:
                    wrong = f"model {i}:\ngot  {got}\nwant {want}"
            t.check(not wrong and len(distinct) > 20, f"{name}: {MODELS} random models, {values} values equal exact arithmetic", wrong)
        multipliers(t, folder)
    return t.done()


sys.exit(main())
