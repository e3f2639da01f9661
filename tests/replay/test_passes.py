#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler's passes: the representation before and after each, as `jf-model dump` prints it, and the outputs of random models with and without it,
in both numerics. TAP."""
import os
import random
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import tflite_writer as fm  # noqa: E402
from operator_cases import scale, values, zero  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-model")
SEED, MODELS = 20261121, 40


def tool(*args):
    p = subprocess.run([TOOL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    return p.stdout.decode() if p.returncode == 0 else f"status {p.returncode}: {p.stderr.decode()}"


def nodes(path, passes):
    """['CONV_2D act RELU', ...]: operators and attributes."""
    return [re.sub(r"( [%-]\d*)+ ->( %\d+)+", "", line.split(" ", 2)[2]) for line in tool("dump", path, "--passes", passes).splitlines() if line.startswith("node ")]


def conv(m, r, x, shape, sx, out, sy, zy, act=fm.NONE, same=True, k=(3, 3)):
    """A convolution of x; its output's index."""
    w = m.tensor([out, *k, shape[3]], [scale(r, -9, -4) for _ in range(out)], 0, [max(v, -127) for v in values(r, out * k[0] * k[1] * shape[3])])
    b = m.tensor([out], 1.0, 0, [r.randint(-2000, 2000) for _ in range(out)], fm.I32)
    hw = shape[1:3] if same else [shape[1] - k[0] + 1, shape[2] - k[1] + 1]
    y = m.tensor([1, *hw, out], sy, zy)
    m.op(fm.CONV, [x, w, b], y, fm.conv_options((1, 1), same, act))
    return y, [1, *hw, out]


def relu_model(code):
    def make(r):
        m, shape = fm.Model(), [1, r.randint(1, 5), r.randint(1, 5), r.randint(1, 4)]
        sx, zx, sy, zy = scale(r, -6, -2), zero(r), scale(r, -4, 0), r.randint(-128, 60)
        x = m.tensor(shape, sx, zx)
        y, shape = conv(m, r, x, shape, sx, r.randint(1, 5), sy, zy)
        z = m.tensor(shape, sy, zy)
        m.op(code, [y], z)
        return m.bytes([x], [z])
    return make


def relu_rescaling(r):
    """A RELU with another output quantization is not only a clamp."""
    m, shape = fm.Model(), [1, 2, 3, 4]
    x = m.tensor(shape, 0.03125, 3)
    y, shape = conv(m, r, x, shape, 0.03125, 4, 0.25, -5)
    z = m.tensor(shape, fm.f32(0.21), -128)
    m.op(fm.RELU, [y], z)
    return m.bytes([x], [z])


def pad_model(value=None):
    def make(r):
        m, shape = fm.Model(), [1, r.randint(2, 5), r.randint(2, 5), r.randint(1, 4)]
        sx, zx = scale(r, -6, -2), zero(r)
        before, after = [0, r.randint(0, 2), r.randint(0, 2), 0], [0, r.randint(1, 2), r.randint(1, 2), 0]
        x = m.tensor(shape, sx, zx)
        shape = [b + n + a for n, b, a in zip(shape, before, after)]
        p = m.tensor(shape, sx, zx)
        pads = m.ints([v for pair in zip(before, after) for v in pair], [4, 2])
        constant = [] if value is None else [m.tensor([], sx, zx, [value(zx)])]
        m.op(fm.PADV2 if constant else fm.PAD, [x, pads, *constant], p)
        y, _ = conv(m, r, p, shape, sx, r.randint(1, 5), scale(r, -4, 0), zero(r), r.choice([0, 1, 3]), r.random() < 0.5, (r.randint(1, 3), r.randint(1, 3)))
        return m.bytes([x], [y])
    return make


def dead_model(r):
    """A branch that nothing reads, two nodes long."""
    m, n = fm.Model(), r.randint(1, 40)
    x, y, a, b = (m.tensor([1, n], scale(r), zero(r)) for _ in range(4))
    m.op(fm.LEAKY_RELU, [x], a, fm.float_options(0.25))
    m.op(fm.QUANTIZE, [x], y)
    m.op(fm.QUANTIZE, [a], b)
    return m.bytes([x], [y])


def transpose_model(r):
    """[1, h, 1, c] -> [h, c, 1, 1]: no element moves."""
    m, h, c = fm.Model(), r.randint(2, 6), r.randint(2, 6)
    s, z = scale(r), zero(r)
    x, y, q = m.tensor([1, h, 1, c], s, z), m.tensor([h, c, 1, 1], s, z), m.tensor([h, c, 1, 1], scale(r), zero(r))
    m.op(fm.TRANSPOSE, [x, m.ints([1, 3, 0, 2])], y)
    m.op(fm.QUANTIZE, [y], q)
    return m.bytes([x], [q])


def constants_model(r):
    """A constant turned and cut before it is added."""
    m, n = fm.Model(), r.randint(2, 6)
    s, z = scale(r, -6, -3), zero(r)
    c, t, part = m.tensor([n, 3], s, z, values(r, 3 * n)), m.tensor([3, n], s, z), m.tensor([1, n], s, z)
    x, y = m.tensor([1, n], scale(r, -6, -3), zero(r)), m.tensor([1, n], scale(r, -5, -2), zero(r))
    m.op(fm.TRANSPOSE, [c, m.ints([1, 0])], t)
    m.op(fm.STRIDED_SLICE, [t, m.ints([1, 0]), m.ints([2, n]), m.ints([1, 1])], part, fm.slice_options())
    m.op(fm.ADD, [part, x], y, fm.activation_options(0))
    return m.bytes([x], [y])


def mul_model(per_channel, factor=1):
    def make(r):
        m, shape, out = fm.Model(), [1, r.randint(1, 5), r.randint(1, 5), r.randint(1, 4)], r.randint(2, 5)
        sx, sy, sc = scale(r, -6, -2), scale(r, -3, 0), scale(r, -8, -6)
        x = m.tensor(shape, sx, zero(r))
        y, shape = conv(m, r, x, shape, sx, out, sy, zero(r), r.choice([0, 1]))
        c = m.tensor([out] if per_channel else [], sc, -20, [factor * r.randint(20, 107) for _ in range(out if per_channel else 1)])
        z = m.tensor(shape, fm.f32(sy * sc * 60), zero(r))
        m.op(fm.MUL, [y, c] if r.random() < 0.5 else [c, y], z, fm.activation_options(r.choice([0, 1])))
        return m.bytes([x], [z])
    return make


# name, models, operators without passes, with the level, the level
EXACT = [
    ("RELU into a convolution", relu_model(fm.RELU), ["CONV_2D", "RELU"], ["CONV_2D act RELU"], "exact"),
    ("RELU6 into a convolution", relu_model(fm.RELU6), ["CONV_2D", "RELU6"], ["CONV_2D act RELU6"], "exact"),
    ("RELU that rescales stays", relu_rescaling, ["CONV_2D", "RELU"], ["CONV_2D", "RELU"], "exact"),
    ("PAD into a convolution", pad_model(), ["PAD", "CONV_2D"], ["CONV_2D"], "exact"),
    ("PADV2 with the zero point into a convolution", pad_model(lambda z: z), ["PAD", "CONV_2D"], ["CONV_2D"], "exact"),
    ("PADV2 with another value stays", pad_model(lambda z: z - 1 if z > 0 else z + 1), ["PAD", "CONV_2D"], ["PAD", "CONV_2D"], "exact"),
    ("dead nodes", dead_model, ["LEAKY_RELU", "QUANTIZE", "QUANTIZE"], ["QUANTIZE"], "exact"),
    ("a transposition that moves nothing", transpose_model, ["TRANSPOSE", "QUANTIZE"], ["RESHAPE", "QUANTIZE"], "exact"),
    ("constants that are only moved (always)", constants_model, ["ADD"], ["ADD"], "exact"),
    ("MUL by a constant stays in an exact compilation", mul_model(False), ["CONV_2D", "MUL"], ["CONV_2D", "MUL"], "exact"),
    ("MUL by a negative constant stays", mul_model(True, -1), ["CONV_2D", "MUL"], ["CONV_2D", "MUL"], "rounding"),
]
ROUNDING = [("MUL by a constant into a convolution", mul_model(False)), ("MUL by constants, one a channel, into a convolution", mul_model(True))]


def attributes_stripped(ops):
    return [" ".join(w for w in [op.split(" ")[0]] + (re.findall(r"act \w+", op) if "act" in op else [])) for op in ops]


def exact(t, path, name, make, before, after, level):
    r, wrong, values_seen = random.Random(f"{SEED} {name}"), "", set()
    for i in range(MODELS):
        with open(path, "wb") as f:
            f.write(make(r))
        shapes = [attributes_stripped(nodes(path, p)) for p in ("none", level)]
        if "PAD" in name:
            shapes = [[op.split(" ")[0] for op in s] for s in shapes]
        if "stays" in name and "MUL" in name:
            shapes = [[op.split(" ")[0] for op in s] for s in shapes]
        if shapes != [before, after]:
            wrong = wrong or f"model {i}: {shapes}"
        for numerics in ("tflm", "litert"):
            for seed in ("lcg:1", "lcg:2"):
                a, b = (tool("run", path, "--input", seed, "--numerics", numerics, "--passes", p) for p in ("none", level))
                values_seen.add(a)
                if a != b or a.startswith("status"):
                    wrong = wrong or f"model {i} {numerics} {seed}: {a} {b}"
    t.check(not wrong and len(values_seen) > MODELS // 2, f"{name}: {before} becomes {after}, {4 * MODELS} equal outputs", wrong)


def rounding(t, path, name, make):
    """The fold rounds once where the two nodes round twice: some outputs change, which is why it must be asked for."""
    r, wrong, off, total = random.Random(f"{SEED} {name}"), "", 0, 0
    for i in range(MODELS):
        with open(path, "wb") as f:
            f.write(make(r))
        if [op.split(" ")[0] for op in nodes(path, "rounding")] != ["CONV_2D"]:
            wrong = wrong or f"model {i}: {nodes(path, 'rounding')}"
        two, one = (tool("run", path, "--passes", p) for p in ("none", "rounding"))
        if "status" in two + one:
            wrong = wrong or two + one
            continue
        pairs = list(zip(map(int, two.split(",")), map(int, one.split(","))))
        total += len(pairs)
        off += sum(a != b for a, b in pairs)
    t.check(not wrong and 0 < off < total, f"{name}: only with --passes rounding; {off} of {total} outputs change", wrong)


def pad_numbers(t, path):
    """The padding moves into the convolution's numbers: top, left, bottom, right."""
    m = fm.Model()
    x, p = m.tensor([1, 4, 4, 1], 0.5, 7), m.tensor([1, 7, 8, 1], 0.5, 7)
    m.op(fm.PAD, [x, m.ints([0, 0, 1, 2, 3, 1, 0, 0], [4, 2])], p)
    y, _ = conv(m, random.Random(1), p, [1, 7, 8, 1], 0.5, 2, 1.0, 0)
    with open(path, "wb") as f:
        f.write(m.bytes([x], [y]))
    t.check(nodes(path, "none") == ["PAD before 0,1,3,0 after 0,2,1,0 value 7", "CONV_2D stride 1x1 pad 1,1,1,1"] and nodes(path, "exact") == ["CONV_2D stride 1x1 pad 2,4,3,2"],
            "a PAD's cells add to the convolution's own", (nodes(path, "none"), nodes(path, "exact")))


def edges(t, path):
    """float -> QUANTIZE -> RELU -> DEQUANTIZE -> float is int8 -> RELU -> int8; a float anywhere else is refused."""
    m = fm.Model()
    f, x, y, g = m.tensor([1, 5], None, type_=fm.F32), m.tensor([1, 5], 0.5, 3), m.tensor([1, 5], 0.5, 3), m.tensor([1, 5], None, type_=fm.F32)
    m.op(fm.QUANTIZE, [f], x)
    m.op(fm.RELU, [x], y)
    m.op(fm.DEQUANTIZE, [y], g)
    with open(path, "wb") as out:
        out.write(m.bytes([f], [g]))
    text = tool("dump", path)
    t.check("node 0 RELU" in text and "node 1" not in text and "of a float" in text and "to a float" in text and tool("run", path).count(",") == 4, "float edges are taken off", text)
    m.op(fm.RELU, [g], m.tensor([1, 5], None, type_=fm.F32))
    with open(path, "wb") as out:
        out.write(m.bytes([f], [4]))
    t.check(tool("run", path).startswith("status 1: ") and "DEQUANTIZE" in tool("run", path), "a DEQUANTIZE in the middle is refused", tool("run", path))


def recorded(t, folder, path):
    """What is emitted says which passes there were and what they changed, in words and for the program."""
    with open(path, "wb") as out:
        out.write(relu_model(fm.RELU)(random.Random(SEED)))
    for level, merged in (("none", 0), ("exact", 1), ("rounding", 1)):
        said = tool("emit", path, "--name", level, "--out", folder, "--passes", level)
        with open(f"{folder}/jfm_{level}.c", encoding="utf-8") as f:
            text = f.read()
        head = f"Passes {level}: 0 dead, 0 transposes, 0 pads, {merged} activations, 0 multiplications."
        t.check(head in text and f'.passes = "{level}"' in text, f"what is emitted records {level}", (said, text[:300]))


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/one.tflite"
        for row in EXACT:
            exact(t, path, *row)
        for row in ROUNDING:
            rounding(t, path, *row)
        pad_numbers(t, path)
        edges(t, path)
        recorded(t, folder, path)
    p = subprocess.run([TOOL, "dump", "firmware/models/ad01_int8.tflite", "--passes", "all"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    t.check(p.returncode == 2 and b"--passes" in p.stderr, "an unknown level of passes is wrong usage", p.stderr)
    return t.done()


sys.exit(main())
