#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model run on hundreds of small random models of every operator (operator_cases.py) against exact rational arithmetic. TAP."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import operator_cases  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-model")
SEED, MODELS = 20261121, int(os.environ.get("MODELS", "200"))


def run(path, numerics="tflm"):
    p = subprocess.run([TOOL, "run", path, "--json", "--input", "lcg:5", "--numerics", numerics], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    return json.loads(p.stdout)["output"] if p.returncode == 0 else p.stderr.decode()


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
    return t.done()


sys.exit(main())
