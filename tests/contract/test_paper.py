#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The paper's five models: the generator gives the same bytes everywhere, with the published counts, and refuses other ones; each becomes firmware; the
autoencoder's output on qemu's Cortex-M7 is what its definition in exact rationals gives. TAP."""
import contextlib
import hashlib
import io
import math
import os
import shutil
import subprocess
import sys
import tempfile
import types
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, d) for d in ("tests", "tests/replay", "tests/contract")]
import exactnet  # noqa: E402
import tflite_reader  # noqa: E402
import tflite_writer as fm  # noqa: E402
from fw_dialogue import Dialogue, fields, lcg  # noqa: E402
from tap import Tap  # noqa: E402

GENERATOR = os.path.join(ROOT, "compiler/models/paper.py")
SHA256 = {
    "nas": "0892e8885dd82c448b1931c428b05959c81f770987c589b2a9d48c1cd01c1a44",
    "resnet": "463df937af3d1b752628c7675c37cdfcc666a8f27d26ad5993f53e6fffe76840",
    "simplenet": "af6b82a9633cbb8723a8076d6053d31dd2e3287f1a7eda4d7cdf815e83d98e03",
    "autoencoder": "e041069f346a1ddc7a762e4257a5ea3fb7b11c9d7f7fbf552ea338de8b560bb0",
    "yolo": "04ff552f47318d98e92beafe502b21ccbb4d3afcf6ecf7e1187cf932f7fa76fa",
}
# operations and weights as Vela reports them for the paper's files. It counts the cells of poolings as operations, carries out a global mean as a
# depthwise convolution with weights, and the YOLO file slices its head in two, element by element (12 x 12 x 12), which is no layer here
PUBLISHED = {"nas": (36471808, 352960), "resnet": (18498048, 381792), "simplenet": (18498048, 381792), "autoencoder": (201984, 136448),
             "yolo": (21428928 - 12 * 12 * 12, 40304)}


def counts(data):
    """(operations, weights) of a .tflite file, Vela's way, from the file alone."""
    m = tflite_reader.Model(data)
    macs = weights = 0
    for op in m.operators:
        out = m.tensors[op.outputs[0]].shape
        if op.code in (fm.CONV, fm.DENSE):
            w = m.tensors[op.inputs[1]]
            macs += math.prod(out) * math.prod(w.shape[1:])
            weights += len(w.values())
        elif op.code in (fm.MAX_POOL, fm.AVERAGE_POOL):
            cells = op.options.scalar(3, "i") * op.options.scalar(4, "i")
            macs += math.prod(out) * cells
            weights += math.prod(out) * cells if op.code == fm.AVERAGE_POOL else 0
    return macs, weights


def altered(old, new):
    """The generator with something wrong in it."""
    with open(GENERATOR, encoding="utf-8") as f:
        text = f.read()
    if old not in text:
        raise AssertionError(f"{old} is not in the generator")
    module = types.ModuleType("altered")
    module.__file__ = GENERATOR
    exec(compile(text.replace(old, new), GENERATOR, "exec"), module.__dict__)  # pylint: disable=exec-used
    return module


def generator(t, top):
    files = {}
    for i in ("0", "1"):
        where = os.path.join(top, i)
        p = subprocess.run([sys.executable, GENERATOR, where], env=dict(os.environ, PYTHONHASHSEED=i, TZ=f"UTC{i}", LC_ALL="C"), cwd=top, check=False)
        files[i] = {n: open(os.path.join(where, n), "rb").read() for n in sorted(os.listdir(where))} if p.returncode == 0 else {}
    t.check(files["0"] and files["0"] == files["1"], "the generator's bytes do not depend on where, when and how it runs")
    models = {n: files["0"].get(f"paper_{n}.tflite", b"") for n in SHA256}
    for n, data in models.items():
        t.check(hashlib.sha256(data).hexdigest() == SHA256[n], f"{n}: the bytes are the recorded ones", hashlib.sha256(data).hexdigest())
        t.check(data and counts(data) == PUBLISHED[n], f"{n}: operations and weights are the published ones", data and counts(data))
    t.check(sorted(files["0"]) == sorted(f"paper_{n}.tflite" for n in SHA256), "five files, and nothing else", sorted(files["0"]))
    return models


def wrong_generator(t, top):
    for n, old, new in (("nas", "n.conv(32, 1)", "n.conv(31, 1)"), ("simplenet", "n.conv(100, 1,", "n.conv(99, 1,"), ("autoencoder", "n.dense(4)", "n.dense(5)")):
        bad, said = altered(old, new), io.StringIO()
        where = os.path.join(top, f"bad-{n}")
        try:
            with contextlib.redirect_stderr(said):
                bad.main(["paper.py", where, n])
            code = "none"
        except SystemExit as e:
            code = str(e.code)
        t.check(n in code and str(PUBLISHED[n][1]) in code and not os.listdir(where), f"{n} with one layer off by one: the generator refuses", code)
        t.check(counts(bad.MODELS[n][0]().bytes()) != PUBLISHED[n], f"{n} with one layer off by one: counted here too")
    p = subprocess.run([sys.executable, GENERATOR, top, "alexnet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    t.check(p.returncode == 2 and b"names: nas" in p.stderr, "an unknown name: usage, exit 2", p)


def exact(data, seed):
    """The output for the reference input, int8: convolution, dense and reshape from their definition in exact rationals."""
    m = tflite_reader.Model(data)
    values = {m.inputs[0]: exactnet.lcg(seed, math.prod(m.tensors[m.inputs[0]].shape))}
    for op in m.operators:
        x, y = m.tensors[op.inputs[0]], m.tensors[op.outputs[0]]
        c = {"sx": x.scales[0], "zx": x.zeros[0], "so": y.scales[0], "zo": y.zeros[0]}
        if op.code == fm.RESHAPE:
            values[op.outputs[0]] = values[op.inputs[0]]
            continue
        w, b = (m.tensors[i] for i in op.inputs[1:3])
        if op.code == fm.CONV:
            c.update({"in": x.shape[1:], "k": w.shape[1:3], "stride": (1, 1), "dil": (1, 1), "same": op.options.scalar(0, "b") == 0, "out_c": w.shape[0],
                      "sw": w.scales, "act": op.options.scalar(3, "b")})
            values[op.outputs[0]] = exactnet.conv(values[op.inputs[0]], w.values(), b.values(), c)
        else:
            c.update({"in_n": w.shape[1], "out_n": w.shape[0], "sw": w.scales[0], "act": op.options.scalar(0, "b")})
            values[op.outputs[0]] = exactnet.dense(values[op.inputs[0]], w.values(), b.values(), c, fm.f32)
    return values[m.outputs[0]], m.tensors[m.outputs[0]]


def crc(values):
    return f"{zlib.crc32(bytes(v & 255 for v in values)):08x}"


def images(t, models):
    for n, data in models.items():
        path = os.path.join(ROOT, f"build/firmware/nucleo-h7a3zi-q/paper_{n}.elf")
        elf = open(path, "rb").read() if os.path.exists(path) else b""
        t.check(elf[:4] == b"\x7fELF" and SHA256[n].encode() in elf and f"paper_{n}".encode() in elf and data, f"{n}: firmware that names this model", path)


def on_qemu(t, data):
    want = {seed: exact(data, seed) for seed in (1, 2)}
    p = subprocess.Popen(["qemu-system-arm", "-M", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "stdio", "-semihosting-config",
                          "enable=on,target=native", "-kernel", f"{ROOT}/build/firmware/qemu-mps2-an500/paper_autoencoder.elf"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        d = Dialogue(p.stdout.fileno(), p.stdin.fileno())
        d.until_ready(60)
        told = d.say("jf on")
        t.check(fields(told, "build")[1:4] == ["paper_autoencoder", SHA256["autoencoder"], "tflm"], "autoencoder on qemu: says which model it is", told)
        t.check(fields(told, "golden") == [crc(want[1][0]), "1"], "autoencoder on qemu: the embedded input's output is the exact one", (told, crc(want[1][0])))
        d.load(bytes((b - 128) & 255 for b in lcg(2, 768)))
        lines = d.say("infer 2 1", 60)
        t.check(fields(lines, "output") == [crc(want[2][0])], "autoencoder on qemu: another input's output is the exact one", (lines[:-1], crc(want[2][0])))
        values, (ints, y) = [float(v) for v in lines[-1][len("m-results-["):-1].split(",")], want[2]
        t.check(len(values) == 768 and all(abs(v - (q - y.zeros[0]) * y.scales[0]) < 0.00051 for v, q in zip(values, ints)), "all 768 values are printed", lines[-1][:200])
        t.check(len(set(ints)) > 100, "and they differ: nothing is dead", len(set(ints)))
    finally:
        p.kill()
        p.wait()


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as top:
        models = generator(t, top)
        wrong_generator(t, top)
    if not shutil.which("arm-none-eabi-gcc") or not shutil.which("qemu-system-arm"):
        t.check(True, "firmware and its outputs # SKIP arm-none-eabi-gcc and qemu-system-arm are not both installed")
        return t.done()
    images(t, models)
    on_qemu(t, models["autoencoder"])
    return t.done()


sys.exit(main())
