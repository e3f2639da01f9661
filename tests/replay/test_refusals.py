#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Models with one thing wrong, for each operator: a sentence that names the node, status 1, nothing written. TAP."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import tflite_writer as fm  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-model")


def one(code, out, options=None, shape=(1, 4, 4, 2), more=lambda m: [], q=(0.5, 3), qo=None, outputs=None, first=None):
    """A node `code` of the input and more(m), with the output's shape."""
    m = fm.Model()
    x = m.tensor(list(shape), *q)
    ys = [m.tensor(list(s), *(qo or q)) for s in (outputs or [out])]
    operands = [x, *more(m)] if first is None else [first(m), x]
    m.op(code, operands, ys, options)
    return m.bytes([x], [ys[0]])


def edges(kind):
    m = fm.Model()
    x, y = m.tensor([1, 4], 0.5, 0), m.tensor([1, 4], 0.25, 0)
    if kind == "cycle":
        m.op(fm.ADD, [x, y], y, fm.activation_options(0))
    elif kind == "two cycle":
        z = m.tensor([1, 4], 0.25, 0)
        m.op(fm.ADD, [x, z], y, fm.activation_options(0))
        m.op(fm.RELU, [y], z)
    elif kind == "twice":
        m.op(fm.RELU, [x], y)
        m.op(fm.QUANTIZE, [x], y)
    elif kind == "absent operand":
        m.op(fm.ADD, [x, -1], y, fm.activation_options(0))
    elif kind == "no operand":
        m.op(fm.RELU, [], y)
    elif kind == "float weights":
        w = m.tensor([4, 4], None, 0, [1] * 16, fm.I32)
        m.op(fm.DENSE, [x, w, -1], y, fm.activation_options(0))
    elif kind in ("float model", "hybrid"):  # floats throughout; with int8 weights
        x, y = m.tensor([1, 4], None, type_=fm.F32), m.tensor([1, 4], None, type_=fm.F32)
        w = m.tensor([4, 4], 0.1, 0, [1] * 16) if kind == "hybrid" else m.tensor([4, 4], None, 0, [1.0] * 16, fm.F32)
        m.op(fm.DENSE, [x, w, -1], y, fm.activation_options(0))
    elif kind == "float inside":
        f = m.tensor([1, 4], None, type_=fm.F32)
        m.op(fm.DEQUANTIZE, [x], f)
        m.op(fm.QUANTIZE, [f], y)
    elif kind == "shuffled":
        w = m.tensor([4, 4], 0.1, 0, [1] * 16)
        m.op(fm.DENSE, [x, w, -1], y, {0: ("b", 0), 1: ("b", 1)})
    elif kind == "huge":  # each tensor is small enough, all of them are not
        shape, last = [1, 8000, 8000, 1], m.tensor([1, 8000, 8000, 1], 0.5, 0)
        x = m.tensor(shape, 0.5, 0)
        m.op(fm.RESIZE_NEAREST, [x, m.ints([8000, 8000])], last, fm.resize_options(fm.RESIZE_NEAREST, False, False))
        y = last
    return m.bytes([x], [y])


CONV = {"more": lambda m: [m.tensor([3, 3, 3, 2], 0.1, 0, [1] * 54), -1]}
# what is wrong, the model, the node's name, a word of the sentence
ROWS = [
    ("a convolution's output of another height", one(fm.CONV, (1, 3, 4, 3), fm.conv_options((1, 1), True), **CONV), "CONV_2D", "follows"),
    ("a stride of 0", one(fm.CONV, (1, 4, 4, 3), fm.conv_options((0, 1), True), **CONV), "CONV_2D", "stride"),
    ("a dilation of 2000", one(fm.CONV, (1, 4, 4, 3), fm.conv_options((1, 1), True, 0, (2000, 1)), **CONV), "CONV_2D", "dilation"),
    ("a padding that is none", one(fm.CONV, (1, 4, 4, 3), {**fm.conv_options((1, 1), True), 0: ("b", 7)}, **CONV), "CONV_2D", "padding 7"),
    ("batch 2", one(fm.CONV, (2, 4, 4, 3), fm.conv_options((1, 1), True), shape=(2, 4, 4, 2), **CONV), "CONV_2D", "batch 1"),
    ("weights for other channels", one(fm.CONV, (1, 4, 4, 3), fm.conv_options((1, 1), True), shape=(1, 4, 4, 5), **CONV), "CONV_2D", "channels"),
    ("no options", one(fm.CONV, (1, 4, 4, 3), {}, **CONV), "CONV_2D", "stride"),
    ("a depth multiplier that does not fit", one(fm.DEPTHWISE, (1, 4, 4, 4), fm.depthwise_options((1, 1), True, 3), more=lambda m: [m.tensor([1, 3, 3, 4], 0.1, 0, [1] * 36), -1]),
     "DEPTHWISE_CONV_2D", "channels"),
    ("weights with a zero point", one(fm.CONV, (1, 4, 4, 3), fm.conv_options((1, 1), True), more=lambda m: [m.tensor([3, 3, 3, 2], 0.1, 5, [1] * 54), -1]), "CONV_2D", "zero"),
    ("operands that do not broadcast", one(fm.ADD, (1, 4, 4, 2), fm.activation_options(0), more=lambda m: [m.tensor([1, 3, 4, 2], 0.5, 0, [1] * 24)]), "ADD", "broadcast"),
    ("a fused TANH", one(fm.MUL, (1, 4, 4, 2), fm.activation_options(4), more=lambda m: [m.tensor([], 0.5, 0, [1])]), "MUL", "activation 4"),
    ("scales too far apart", one(fm.SUB, (1, 4, 4, 2), fm.activation_options(0), qo=(1e-9, 0), more=lambda m: [m.tensor([], 0.5, 0, [1])]), "SUB", "ratio"),
    ("a pool that rescales", one(fm.MAX_POOL, (1, 2, 2, 2), fm.pool_options((2, 2), True, (2, 2)), qo=(0.25, 3)), "MAX_POOL_2D", "quantized differently"),
    ("a pool with a window of 0", one(fm.AVERAGE_POOL, (1, 2, 2, 2), fm.pool_options((2, 2), True, (0, 2))), "AVERAGE_POOL_2D", "kernel"),
    ("a mean over an axis that is none", one(fm.MEAN, (1, 1, 1, 2), fm.mean_options(True), more=lambda m: [m.ints([4])]), "MEAN", "axis 4"),
    ("a mean over axes that are not known", one(fm.MEAN, (1, 4, 4, 2), fm.mean_options(True), more=lambda m: [m.tensor([1], None, 0, None, fm.I32)]), "MEAN", "axes"),
    ("a RELU6 that rescales", one(fm.RELU6, (1, 4, 4, 2), qo=(0.25, 3)), "RELU6", "quantized differently"),
    ("a LOGISTIC with another scale", one(fm.LOGISTIC, (1, 4, 4, 2), qo=(0.25, -128)), "LOGISTIC", "1/256"),
    ("a TANH with another zero point", one(fm.TANH, (1, 4, 4, 2), qo=(1 / 128, 1)), "TANH", "1/128"),
    ("a SOFTMAX with another scale", one(fm.SOFTMAX, (1, 4, 4, 2), fm.float_options(1.0), qo=(1 / 128, -128)), "SOFTMAX", "1/256"),
    ("a SOFTMAX with beta -1", one(fm.SOFTMAX, (1, 4, 4, 2), fm.float_options(-1.0), qo=(1 / 256, -128)), "SOFTMAX", "beta"),
    ("a LEAKY_RELU with alpha NaN", one(fm.LEAKY_RELU, (1, 4, 4, 2), fm.float_options(float("nan"))), "LEAKY_RELU", "alpha"),
    ("another shape after RELU", one(fm.RELU, (1, 4, 2, 4)), "RELU", "follows"),
    ("a negative padding", one(fm.PAD, (1, 4, 3, 2), more=lambda m: [m.ints([0, 0, 0, 0, -1, 0, 0, 0], [4, 2])]), "PAD", "negative"),
    ("paddings for three axes", one(fm.PAD, (1, 4, 4, 2), more=lambda m: [m.ints([0] * 6, [3, 2])]), "PAD", "paddings"),
    ("a padding value of another scale", one(fm.PADV2, (1, 4, 4, 2), more=lambda m: [m.ints([0] * 8, [4, 2]), m.tensor([], 0.25, 3, [1])]), "PAD", "value"),
    ("inputs of other sizes joined", one(fm.CONCAT, (1, 8, 4, 2), fm.concat_options(1), more=lambda m: [m.tensor([1, 4, 3, 2], 0.5, 3, [1] * 24)]), "CONCATENATION", "differ"),
    ("inputs of other scales joined", one(fm.CONCAT, (1, 8, 4, 2), fm.concat_options(1), more=lambda m: [m.tensor([1, 4, 4, 2], 0.25, 3, [1] * 32)]), "CONCATENATION", "quantized differently"),
    ("joined along axis 9", one(fm.CONCAT, (1, 8, 4, 2), fm.concat_options(9)), "CONCATENATION", "axis 9"),
    ("another number of elements", one(fm.RESHAPE, (1, 31)), "RESHAPE", "size"),
    ("an order that is no permutation", one(fm.TRANSPOSE, (1, 4, 4, 2), more=lambda m: [m.ints([0, 1, 1, 3])]), "TRANSPOSE", "permutation"),
    ("an order of axes that is not known", one(fm.TRANSPOSE, (1, 4, 4, 2), more=lambda m: [m.tensor([4], None, 0, None, fm.I32)]), "TRANSPOSE", "constant"),
    ("a step of 0", one(fm.STRIDED_SLICE, (1, 4, 4, 2), fm.slice_options(), more=lambda m: [m.ints([0] * 4), m.ints([1, 4, 4, 2]), m.ints([1, 0, 1, 1])]), "STRIDED_SLICE", "stride"),
    ("an empty slice", one(fm.STRIDED_SLICE, (1, 4, 4, 2), fm.slice_options(), more=lambda m: [m.ints([0, 2, 0, 0]), m.ints([1, 2, 4, 2]), m.ints([1] * 4)]), "STRIDED_SLICE", "0 cells"),
    ("an ellipsis", one(fm.STRIDED_SLICE, (1, 4, 4, 2), fm.slice_options(ellipsis_mask=1), more=lambda m: [m.ints([0] * 4), m.ints([1, 4, 4, 2]), m.ints([1] * 4)]), "STRIDED_SLICE", "ellipsis"),
    ("three parts of four", one(fm.SPLIT, None, fm.split_options(3), outputs=[(1, 1, 4, 2)] * 3, first=lambda m: m.ints([1], [])), "SPLIT", "equal parts"),
    ("parts that are not the outputs", one(fm.SPLIT, None, fm.split_options(4), outputs=[(1, 2, 4, 2)] * 2, first=lambda m: m.ints([1], [])), "SPLIT", "4 parts"),
    ("two corners", one(fm.RESIZE_BILINEAR, (1, 8, 8, 2), fm.resize_options(fm.RESIZE_BILINEAR, True, True), more=lambda m: [m.ints([8, 8])]), "RESIZE_BILINEAR", "exclude"),
    ("a size of 0", one(fm.RESIZE_NEAREST, (1, 8, 8, 2), fm.resize_options(fm.RESIZE_NEAREST, False, False), more=lambda m: [m.ints([0, 8])]), "RESIZE_NEAREST_NEIGHBOR", "0 cells"),
    ("an output scale of 0", one(fm.QUANTIZE, (1, 4, 4, 2), qo=(0.0, 0)), "QUANTIZE", "positive scale"),
    ("an infinite output scale", one(fm.QUANTIZE, (1, 4, 4, 2), qo=(float("inf"), 0)), "QUANTIZE", "positive scale"),
    ("a zero point of 400", one(fm.RELU, (1, 4, 4, 2), qo=(0.5, 400)), "RELU", "zero point"),
    ("a zero point beyond 32 bits", one(fm.RELU, (1, 4, 4, 2), qo=(0.5, 1 << 33)), "RELU", "zero point"),
    ("a node that feeds itself", edges("cycle"), "ADD", "before any node makes it"),
    ("two nodes that feed each other", edges("two cycle"), "ADD", "before any node makes it"),
    ("a tensor made twice", edges("twice"), "QUANTIZE", "written twice"),
    ("an absent operand", edges("absent operand"), "ADD", "missing"),
    ("no operand", edges("no operand"), "RELU", "0 inputs"),
    ("weights that are no int8", edges("float weights"), "FULLY_CONNECTED", "int8"),
    ("a float model", edges("float model"), "FULLY_CONNECTED", "float"),
    ("a hybrid model", edges("hybrid"), "FULLY_CONNECTED", "float"),
    ("floats inside the model", edges("float inside"), "DEQUANTIZE", "last node"),
    ("shuffled weights", edges("shuffled"), "FULLY_CONNECTED", "shuffled"),
]


def run(path, out):
    p = subprocess.run([TOOL, "emit", path, "--name", "x", "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        path, out = f"{folder}/bad.tflite", f"{folder}/out"
        os.mkdir(out)
        for name, model, node, word in ROWS:
            with open(path, "wb") as f:
                f.write(model)
            code, text, err = run(path, out)
            t.check(code == 1 and text == "" and not os.listdir(out) and f"({node})" in err and word in err and err.count("\n") == 1, f"{node}: {name}", (code, text, err, os.listdir(out)))
        with open(path, "wb") as f:
            f.write(edges("huge"))
        code, text, err = run(path, out)
        t.check(code == 1 and "64 MiB" in err and not os.listdir(out), "activations of more than 64 MiB", (code, err))
    return t.done()


sys.exit(main())
