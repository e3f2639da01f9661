#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model on ONNX files: the four MLPerf Tiny models turned into QDQ form answer as their TensorFlow Lite originals do (checksums of all
layers as other implementations gave them), the quantized operators of the ONNX project's own node tests (Debian's libonnx-testdata)
give the published outputs, and what cannot be expressed is refused with the node. TAP."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import onnxmodel as ox  # noqa: E402
import tflite_reader as tr  # noqa: E402
from tap import Tap  # noqa: E402

TOOL = f"{ROOT}/build/jf-model"
NODES = "/usr/share/libonnx-testdata/data/node"
# CRC-32 of all operator outputs and of the last, input lcg:1: TensorFlow Lite Micro's reference kernels (tflm), tfjs-tflite (litert)
GOLDEN = {"ad01_int8": ("2310dc75", "4a0da75f"), "kws_ref_model": ("f380a85b", "26dbbc55"), "pretrainedResnet_quant": ("5c2845bb", "7599261d"),
          "vww_96_int8": ("7ee33065", "4767e523")}


def run(path, *args):
    p = subprocess.run([TOOL, args[0] if args else "run", path, *(args[1:] or ("--json",))], capture_output=True, timeout=60, text=True)
    return p.returncode, p.stdout, p.stderr


# ---- TensorFlow Lite to QDQ ---------------------------------------------------------------------------------------
class Converter:
    def __init__(self, data, kind):
        self.t, self.kind = tr.Model(data), kind
        x = self.t.tensors[self.t.inputs[0]]
        four = len(x.shape) == 4
        dims = [x.shape[0], x.shape[3], x.shape[1], x.shape[2]] if four else x.shape
        self.m = ox.Model("input", ox.FLOAT, dims)
        self.names = {self.t.inputs[0]: self.between("input", x)}
        for op in self.t.operators:
            self.convert(op)
        y = self.t.outputs[0]
        self.m.output(self.names[y], ox.FLOAT, self.t.tensors[y].shape)

    def between(self, name, t):
        q = self.m.quantize(name, t.scales[0], t.zeros[0], self.kind, output=t.name)
        return self.m.dequantize(q, t.scales[0], t.zeros[0], self.kind)

    def convert(self, op):
        x, y = self.t.tensors[op.inputs[0]], self.t.tensors[op.outputs[0]]
        name = {3: self.conv, 4: self.conv, 9: self.dense, 0: self.add, 1: self.pool, 22: self.reshape, 25: self.softmax}[op.code](op, x, y)
        self.names[op.outputs[0]] = self.between(name, y)

    def relu(self, name, activation):
        return self.m.op("Relu", [name]) if activation == 1 else name

    def conv(self, op, x, y):
        w, b = self.t.tensors[op.inputs[1]], self.t.tensors[op.inputs[2]]
        deep = op.code == 4
        o = op.options
        v, (d0, kh, kw, d3) = w.values(), w.shape
        if deep:  # 1HWC to C1HW
            values = [v[(yy * kw + xx) * d3 + c] for c in range(d3) for yy in range(kh) for xx in range(kw)]
            dims, out_c = [d3, 1, kh, kw], d3
        else:  # OHWI to OIHW
            values = [v[((c * kh + yy) * kw + xx) * d3 + i] for c in range(d0) for i in range(d3) for yy in range(kh) for xx in range(kw)]
            dims, out_c = [d0, d3, kh, kw], d0
        attributes = {"kernel_shape": [kh, kw], "strides": [o.scalar(2, "i"), o.scalar(1, "i")], "auto_pad": "SAME_UPPER" if o.scalar(0, "b") == 0 else "VALID",
                      "group": x.shape[3] if deep else 1}
        inputs = [self.names[op.inputs[0]], self.m.weights(dims, values, w.scales, 0, self.kind), self.m.bias(b.values(), b.scales)]
        assert out_c == y.shape[3]
        return self.relu(self.m.op("Conv", inputs, attributes), o.scalar(4 if deep else 3, "b"))

    def dense(self, op, x, _):
        w, b = self.t.tensors[op.inputs[1]], self.t.tensors[op.inputs[2]]
        inputs = [self.names[op.inputs[0]], self.m.weights(w.shape, w.values(), w.scales, 0, self.kind), self.m.bias(b.values(), b.scales)]
        return self.relu(self.m.op("Gemm", inputs, {"transB": 1}), op.options.scalar(0, "b") if op.options else 0)

    def add(self, op, *_):
        return self.relu(self.m.op("Add", [self.names[i] for i in op.inputs]), op.options.scalar(0, "b"))

    def pool(self, op, *_):
        o = op.options
        return self.m.op("AveragePool", [self.names[op.inputs[0]]], {"kernel_shape": [o.scalar(4, "i"), o.scalar(3, "i")],
                                                                    "strides": [o.scalar(2, "i"), o.scalar(1, "i")]})

    def reshape(self, op, _, y):
        return self.m.op("Reshape", [self.names[op.inputs[0]], self.m.constant(ox.INT64, [len(y.shape)], y.shape)])

    def softmax(self, op, *_):
        return self.m.op("Softmax", [self.names[op.inputs[0]]], {"axis": -1})


def mlperf(t, folder):
    for name, golden in GOLDEN.items():
        with open(f"{ROOT}/firmware/models/{name}.tflite", "rb") as f:
            data = f.read()
        for kind, word in ((ox.INT8, "int8"), (ox.UINT8, "uint8")):
            path = f"{folder}/{name}" + (".onnx" if kind == ox.UINT8 else "")  # known by its content
            with open(path, "wb") as f:
                f.write(Converter(data, kind).m.bytes())
            got = []
            for numerics in ("tflm", "litert"):
                code, out, err = run(path, "run", "--numerics", numerics, "--json")
                got.append(json.loads(out)["all_crc32"] if code == 0 else err)
            t.check(tuple(got) == golden, f"{name} as ONNX ({word}): every layer as published, both numerics", (got, golden))
        code, out, err = run(f"{ROOT}/firmware/models/{name}.tflite", "diff", path, "--json")
        d = json.loads(out) if out else {}
        t.check(code == 0 and d["equal"] and d["layers_compared"] == d["layers_a"] == d["layers_b"], f"{name}: diff of the two files pairs and equals all layers", (code, err, out[:300]))


def checked(t, folder):
    """The same network from both files: the same verdicts, violations and sizes against a target, alone and in the matrix."""
    for name in GOLDEN:
        pair = f"{ROOT}/firmware/models/{name}.tflite", f"{folder}/{name}-int8.onnx"
        with open(pair[0], "rb") as f, open(pair[1], "wb") as g:
            g.write(Converter(f.read(), ox.INT8).m.bytes())
        for target in ("max78000", "hx6538-we2", "cortex-m4"):
            both = [run(path, "check", "--target", target, "--json") for path in pair]
            found = []
            for code, out, err in both:
                d = json.loads(out) if out else {"violations": []}
                found.append((code, d.get("verdict"), d.get("verdict_requantized"), d.get("weights"), d.get("activations"), sorted((v["rule"], v["limit"], str(v.get("value"))) for v in d["violations"]), err))
            t.check(found[0] == found[1] and found[0][1], f"{name}: check against {target} says the same of both files", found)
        code, out, err = run(pair[0], "matrix", pair[1], "--json")
        rows = [m["targets"] for m in json.loads(out)["models"]] if code == 0 else [err, None]
        t.check(rows[0] == rows[1] and len(rows[0]) >= 14, f"{name}: a line of the matrix each, equal for {len(rows[0])} targets", rows)


# ---- the ONNX project's node tests --------------------------------------------------------------------------------
def node_test(name):
    """The model with every input but the first made a constant (a compiler needs them so), the first input, the expected output."""
    folder = f"{NODES}/{name}"
    with open(f"{folder}/model.onnx", "rb") as f:
        model = f.read()
    data = []
    for i in range(20):
        path = f"{folder}/test_data_set_0/input_{i}.pb"
        if not os.path.exists(path):
            break
        with open(path, "rb") as f:
            data.append(f.read())
    with open(f"{folder}/test_data_set_0/output_0.pb", "rb") as f:
        want = ox.tensor_read(f.read())
    out = b""
    for number, wire, value in ox.fields(model):
        if number == 7:
            value += b"".join(ox.field(5, d) for d in data[1:])
        out += ox.field(number, value) if wire in (0, 2) else b""
    return out, ox.tensor_read(data[0]), want


def to_last(dims, values):
    """N C H W to N H W C."""
    if len(dims) != 4:
        return values
    _, c, h, w = dims
    return [values[(i * h + y) * w + x] for y in range(h) for x in range(w) for i in range(c)]


def onnx_nodes(t, folder):
    if not os.path.isdir(NODES):
        t.check(False, "libonnx-testdata is installed", NODES)
        return
    for name in ("test_qlinearmatmul_2D",):
        model, x, want = node_test(name)
        with open(f"{folder}/n.onnx", "wb") as f:
            f.write(model)
        with open(f"{folder}/n.in", "wb") as f:
            f.write(struct.pack(f"<{len(x[3])}b", *[v - 128 for v in to_last(x[2], x[3])]))
        code, out, err = run(f"{folder}/n.onnx", "run", "--input", f"{folder}/n.in", "--numerics", "litert", "--json")
        got = [v + 128 for v in json.loads(out)["output"]] if code == 0 else err
        t.check(got == to_last(want[2], want[3]), f"{name}: the published output", (got, want))
    # what no int8 kernel with symmetric weights can carry: refused with the reason, never approximated
    for name, word in (("test_qlinearconv", "zero point"), ("test_qlinearmatmul_3D", "axes"), ("test_basic_convinteger", "ConvInteger"), ("test_convinteger_with_padding", "ConvInteger"),
                       ("test_matmulinteger", "MatMulInteger"), ("test_dynamicquantizelinear", "DynamicQuantizeLinear"), ("test_quantizelinear_axis", "scale"),
                       ("test_dequantizelinear_axis", "scale")):
        with open(f"{folder}/n.onnx", "wb") as f:
            f.write(node_test(name)[0])
        code, out, err = run(f"{folder}/n.onnx")
        t.check(code == 1 and word in err and "node 0" in err and not out, f"{name}: refused, the sentence says why", (code, err))


def qlinear_conv(t, folder):
    """QLinearConv with weights that do fit, against exact integers: the published case scaled down."""
    r = random.Random(7)
    from fractions import Fraction
    wrong = ""
    for case in range(40):
        c, o, h = r.randint(1, 3), r.randint(1, 4), r.randint(3, 6)
        sx, sy, zx, zy = 2.0 ** -r.randint(1, 6), 2.0 ** -r.randint(1, 4), r.randint(0, 255), r.randint(0, 255)
        sw = [2.0 ** -r.randint(3, 7) for _ in range(o)]
        w = [r.randint(1, 255) for _ in range(o * c * 9)]
        bias = [r.randint(-500, 500) for _ in range(o)]
        m = ox.Model("x", ox.UINT8, [1, c, h, h])
        k = [m.constant(ox.FLOAT, [], [sx]), m.constant(ox.UINT8, [], [zx]), m.constant(ox.UINT8, [o, c, 3, 3], w), m.constant(ox.FLOAT, [o], sw),
             m.constant(ox.UINT8, [o], [128] * o), m.constant(ox.FLOAT, [], [sy]), m.constant(ox.UINT8, [], [zy]), m.constant(ox.INT32, [o], bias)]
        y = m.op("QLinearConv", ["x", *k], {"pads": [1, 1, 1, 1]})
        m.output(y, ox.UINT8, [1, o, h, h])
        x = [r.randint(0, 255) for _ in range(c * h * h)]
        want = []
        for yy in range(h):
            for xx in range(h):
                for oc in range(o):
                    acc = bias[oc]
                    for i in range(c):
                        for dy in range(3):
                            for dx in range(3):
                                py, px = yy + dy - 1, xx + dx - 1
                                if 0 <= py < h and 0 <= px < h:
                                    acc += (x[(i * h + py) * h + px] - zx) * (w[((oc * c + i) * 3 + dy) * 3 + dx] - 128)
                    v = Fraction(acc) * Fraction(sx) * Fraction(sw[oc]) / Fraction(sy)
                    want.append(min(max(round(v) + zy, 0), 255))  # Python rounds halves to even, as ONNX does
        with open(f"{folder}/q.onnx", "wb") as f:
            f.write(m.bytes())
        with open(f"{folder}/q.in", "wb") as f:
            f.write(bytes((v - 128) & 255 for v in to_last([1, c, h, h], x)))
        code, out, err = run(f"{folder}/q.onnx", "run", "--input", f"{folder}/q.in", "--numerics", "litert", "--json")
        got = [v + 128 for v in json.loads(out)["output"]] if code == 0 else err
        if got != want and not wrong:
            wrong = f"case {case}: {got} {want}"
    t.check(not wrong, "QLinearConv, uint8 with zero points: 40 random cases equal exact arithmetic", wrong)


# ---- forms -------------------------------------------------------------------------------------------------------
def qdq(m, x, scale=0.5, zero=0):
    return m.dequantize(m.quantize(x, scale, zero), scale, zero)


def answer(folder, m, values, numerics="litert"):
    with open(f"{folder}/f.onnx", "wb") as f:
        f.write(m.bytes())
    with open(f"{folder}/f.in", "wb") as f:
        f.write(struct.pack(f"<{len(values)}b", *values))
    code, out, err = run(f"{folder}/f.onnx", "run", "--input", f"{folder}/f.in", "--numerics", numerics, "--json")
    return json.loads(out)["output"] if code == 0 else err


def forms(t, folder):
    """Small graphs whose answers are plain: powers of two and data that only moves."""
    def case(name, dims, build, values, want):
        m = ox.Model("x", ox.FLOAT, dims)
        y = build(m, qdq(m, "x"))
        m.output(y, ox.FLOAT, [1])
        got = answer(folder, m, values)
        t.check(got == want, f"form: {name}", (got, want))

    def ints(m, v):
        return m.constant(ox.INT64, [len(v)], v)

    line = list(range(1, 7))
    case("MatMul and Add are one product with a bias", [1, 2], lambda m, x: qdq(m, m.op("Add", [m.op("MatMul", [x, m.weights([2, 3], [1, 2, 3, 4, 5, 6], [1.0], 1)]), m.constant(ox.FLOAT, [3], [1.0, -2.0, 0.5])])),
         [2, 4], [2 * 1 + 4 * 4 + 2, 2 * 2 + 4 * 5 - 4, 2 * 3 + 4 * 6 + 1])
    case("Gemm with transB = 0", [1, 2], lambda m, x: qdq(m, m.op("Gemm", [x, m.weights([2, 2], [1, 2, 3, 4], [1.0], 1)])), [5, 7], [5 + 21, 10 + 28])
    case("Flatten after a convolution's layout: the file's order", [1, 2, 1, 3], lambda m, x: m.op("Flatten", [m.op("MaxPool", [x], {"kernel_shape": [1, 1]})]), line, [1, 3, 5, 2, 4, 6])
    case("Reshape with 0 and -1", [1, 6], lambda m, x: m.op("Reshape", [x, ints(m, [0, -1])]), line, line)
    case("Transpose to NCHW at the input costs nothing", [1, 1, 3, 2], lambda m, x: m.op("MaxPool", [m.op("Transpose", [x], {"perm": [0, 3, 1, 2]})], {"kernel_shape": [1, 1]}), line, line)
    case("Transpose of a matrix", [2, 3], lambda m, x: m.op("Transpose", [x], {"perm": [1, 0]}), line, [1, 4, 2, 5, 3, 6])
    case("Squeeze and Unsqueeze", [1, 1, 6], lambda m, x: m.op("Unsqueeze", [m.op("Squeeze", [m.op("Flatten", [x]), ints(m, [0])]), ints(m, [0, 2])]), line, line)
    case("Slice with a negative step", [1, 6], lambda m, x: m.op("Slice", [x, ints(m, [-1]), ints(m, [-7]), ints(m, [1]), ints(m, [-2])]), line, [6, 4, 2])
    case("Concat of slices", [1, 6], lambda m, x: m.op("Concat", [m.op("Slice", [x, ints(m, [3]), ints(m, [6]), ints(m, [1])]), m.op("Slice", [x, ints(m, [0]), ints(m, [3]), ints(m, [1])])], {"axis": 1}), line,
         [4, 5, 6, 1, 2, 3])
    case("Clip from 0 to 6", [1, 4], lambda m, x: qdq(m, m.op("Clip", [x, m.constant(ox.FLOAT, [], [0.0]), m.constant(ox.FLOAT, [], [6.0])])), [-3, 5, 12, 13], [0, 5, 12, 12])
    case("Mul by a float constant", [1, 3], lambda m, x: qdq(m, m.op("Mul", [x, m.constant(ox.FLOAT, [], [-2.0])])), [1, -4, 10], [-2, 8, -20])
    case("Add of a constant per channel", [1, 2, 1, 2], lambda m, x: qdq(m, m.op("Add", [m.op("MaxPool", [x], {"kernel_shape": [1, 1]}), m.weights([2, 1, 1], [10, 20], [0.5], 0)])), [1, 2, 3, 4], [11, 22, 13, 24])
    case("ReduceMean over height and width without keepdims", [1, 2, 2, 2], lambda m, x: qdq(m, m.op("ReduceMean", [x], {"axes": [2, 3], "keepdims": 0})), [4, 8, 4, 8, 4, 8, 4, 8], [4, 8])
    case("GlobalAveragePool", [1, 2, 1, 2], lambda m, x: qdq(m, m.op("GlobalAveragePool", [x])), [4, 8, 8, 16], [6, 12])
    case("Pad by a constant", [1, 2], lambda m, x: m.op("Pad", [x, ints(m, [0, 1, 0, 2]), m.constant(ox.FLOAT, [], [3.0])]), [1, 2], [6, 1, 2, 6, 6])
    case("Resize, nearest by two", [1, 1, 1, 2], lambda m, x: m.op("Resize", [x, "", m.constant(ox.FLOAT, [4], [1.0, 1.0, 1.0, 2.0])], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
         [1, 2], [1, 1, 2, 2])
    case("a one-dimensional convolution", [1, 1, 4], lambda m, x: qdq(m, m.op("Conv", [x, m.weights([1, 1, 2], [1, 2], [1.0], 0)], {"kernel_shape": [2]})), [1, 2, 3, 4], [5, 8, 11])
    case("requantizing between two operators", [1, 2], lambda m, x: qdq(m, x, 1.0, 5), [3, 8], [7, 9])  # 1.5 to even: 2
    case("a pooling before its QuantizeLinear", [1, 1, 1, 4], lambda m, x: qdq(m, m.op("MaxPool", [m.op("Relu", [m.op("Conv", [x, m.weights([1, 1, 1, 1], [1], [1.0], 0)])])], {"kernel_shape": [1, 2], "strides": [1, 2]})),
         [-3, -2, 4, 1], [0, 4])


# ---- refusals -----------------------------------------------------------------------------------------------------
def bad_files(t, folder):
    def refused(name, data, *words):
        with open(f"{folder}/bad.onnx", "wb") as f:
            f.write(data)
        out = f"{folder}/out"
        os.makedirs(out, exist_ok=True)
        code, text, err = run(f"{folder}/bad.onnx", "emit", "--name", "x", "--out", out)
        t.check(code == 1 and all(w in err for w in words) and not text and not os.listdir(out), f"refused, nothing written: {name}", (code, err))

    def graph(build, dims=(1, 2), kind=ox.FLOAT, outputs=1, opset=13):
        m = ox.Model("x", kind, list(dims), opset)
        y = build(m)
        for _ in range(outputs):
            m.output(y, ox.FLOAT, [1])
        return m.bytes()

    good = graph(lambda m: qdq(m, m.op("Relu", [qdq(m, "x")])))
    with open(f"{folder}/good.onnx", "wb") as f:
        f.write(good)
    t.check(run(f"{folder}/good.onnx")[0] == 0, "the model without a mistake is accepted", run(f"{folder}/good.onnx"))
    refused("a float model", graph(lambda m: m.op("Relu", ["x"])), "float", "QuantizeLinear")
    refused("a float operator in the middle", graph(lambda m: qdq(m, m.op("Relu", [m.op("Relu", [m.op("Sigmoid", ["x"])])]))), "node 0 (Sigmoid")
    refused("an unknown operator", graph(lambda m: qdq(m, m.op("Einsum", [qdq(m, "x")]))), "node 2 (Einsum")
    refused("another domain", graph(lambda m: qdq(m, m.op("Relu", [qdq(m, "x")], domain="com.example"))), "com.example")
    refused("a value that nothing makes", graph(lambda m: qdq(m, m.op("Relu", ["ghost"]))), "ghost", "before any node")
    refused("a name made twice", graph(lambda m: m.op("Identity", [m.op("Identity", [qdq(m, "x")], output="twin")], output="twin")), "made twice")
    refused("a scale of zero", graph(lambda m: qdq(m, "x", 0.0)), "scale")
    refused("an infinite scale", graph(lambda m: qdq(m, "x", float("inf"))), "scale")
    refused("two outputs", graph(lambda m: qdq(m, "x"), outputs=2), "2 outputs")
    refused("an input without a fixed size", graph(lambda m: qdq(m, "x"), dims=(1, "n")), "axis 1")
    refused("an input of doubles", graph(lambda m: qdq(m, "x"), kind=11), "input 'x'")
    refused("an absurd shape", graph(lambda m: qdq(m, "x"), dims=(1, 1 << 40)), "input 'x'")
    refused("weights that are no constant", graph(lambda m: qdq(m, m.op("MatMul", [qdq(m, "x"), qdq(m, "x")]))), "constant")
    refused("grouped convolution", graph(lambda m: qdq(m, m.op("Conv", [qdq(m, "x"), m.weights([4, 2, 1, 1], [1] * 8, [1.0], 0)], {"group": 2})), dims=(1, 4, 2, 2)), "group 2", "Conv")
    refused("kernel_shape against the weights", graph(lambda m: qdq(m, m.op("Conv", [qdq(m, "x"), m.weights([1, 1, 3, 3], [1] * 9, [1.0], 0)], {"kernel_shape": [2, 2]})), dims=(1, 1, 4, 4)), "kernel_shape")
    refused("scales along the wrong axis", graph(lambda m: qdq(m, m.op("Conv", [qdq(m, "x"), m.weights([2, 2, 1, 1], [1] * 4, [1.0, 2.0], 1)])), dims=(1, 2, 2, 2)), "scales")
    refused("a reshape that does not fit", graph(lambda m: m.op("Reshape", [qdq(m, "x"), m.constant(ox.INT64, [2], [1, 5])])), "do not fit")
    refused("a permutation that is none", graph(lambda m: m.op("Transpose", [qdq(m, "x")], {"perm": [0, 0]})), "permutation")
    refused("an axis beyond the shape", graph(lambda m: m.op("Concat", [qdq(m, "x"), qdq(m, "x")], {"axis": 7})), "axis 7")
    refused("a concatenation of unlike scales", graph(lambda m: m.op("Concat", [qdq(m, "x"), qdq(m, "x", 0.25)], {"axis": 1})), "different scales")
    refused("an empty slice", graph(lambda m: m.op("Slice", [qdq(m, "x"), m.constant(ox.INT64, [1], [2]), m.constant(ox.INT64, [1], [2]), m.constant(ox.INT64, [1], [1])])), "empty slice")
    refused("a product beyond the weights", graph(lambda m: qdq(m, m.op("Gemm", [qdq(m, "x"), m.weights([2, 3], [1] * 6, [1.0], 0)], {"transB": 1}))), "Gemm")
    short = ox.field(1, 3) + ox.field(2, 1) + ox.field(8, "short") + ox.field(9, b"\0" * 8)
    refused("a constant shorter than its shape", graph(lambda m: (m.constants.append(short), qdq(m, m.op("Add", [qdq(m, "x"), "short"])))[1]), "holds 2 values, its shape says 3")
    elsewhere = ox.field(2, 1) + ox.field(8, "elsewhere") + ox.field(14, 1) + ox.field(13, b"")
    refused("a constant in another file", graph(lambda m: (m.constants.append(elsewhere), qdq(m, m.op("Add", [qdq(m, "x"), "elsewhere"])))[1]), "another file")
    attribute = ox.field(1, "body") + ox.field(6, b"\x0a\x00")
    node = ox.field(1, "x") + ox.field(2, "y") + ox.field(4, "If") + ox.field(5, attribute)
    refused("a subgraph", ox.field(7, ox.field(1, node)), "subgraph")
    deep = b""
    for _ in range(3000):
        deep = ox.field(6, ox.field(1, ox.field(5, deep)))
    refused("subgraphs three thousand deep", ox.field(7, ox.field(1, ox.field(5, deep))), "subgraph")
    refused("an empty graph", ox.field(1, 8) + ox.field(7, b""), "no graph")
    refused("no protobuf at all", b"\xff" * 64, "at byte")
    wrong = ""
    for cut in range(0, len(good), 7):
        with open(f"{folder}/cut.onnx", "wb") as f:
            f.write(good[:cut])
        code, out, err = run(f"{folder}/cut.onnx")
        if code != 1 or out or not err:
            wrong = wrong or f"cut at {cut}: {code} {err}"
    t.check(not wrong, f"truncated at {len(range(0, len(good), 7))} places: refused each time", wrong)


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        mlperf(t, folder)
        checked(t, folder)
        onnx_nodes(t, folder)
        qlinear_conv(t, folder)
        forms(t, folder)
        bad_files(t, folder)
    return t.done()


sys.exit(main())
