# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes small TensorFlow Lite files for tests: a flatbuffer writer of its own, from the format's description
(flatbuffers.dev/internals) and the schema's slot numbers, and models of one or more int8 operators.

    m = Model()
    x, y = m.tensor([1, 4], 0.5, 3), m.tensor([1, 4], 0.25, -128)
    m.op(LOGISTIC, [x], y)
    open("one.tflite", "wb").write(m.bytes([x], [y]))

Options of each operator come from the functions named *_options below; operands that only describe (axes, paddings, sizes) are
constants made with Model.ints()."""
import struct

I8, I32, F32 = 9, 2, 0
ADD, AVERAGE_POOL, CONCAT, CONV, DEPTHWISE, DEQUANTIZE, DENSE, LOGISTIC, MAX_POOL, MUL, RELU, RELU6 = 0, 1, 2, 3, 4, 6, 9, 14, 17, 18, 19, 21
RESHAPE, RESIZE_BILINEAR, SOFTMAX, TANH, PAD, TRANSPOSE, MEAN, SUB, SQUEEZE, STRIDED_SLICE, SPLIT, PADV2 = 22, 23, 25, 28, 34, 39, 40, 41, 43, 45, 49, 60
EXPAND_DIMS, RESIZE_NEAREST, LEAKY_RELU, QUANTIZE = 70, 97, 98, 114
# the member of the schema's union BuiltinOptions
OPTIONS_TYPE = {CONV: 1, DEPTHWISE: 2, AVERAGE_POOL: 5, MAX_POOL: 5, DENSE: 8, SOFTMAX: 9, CONCAT: 10, ADD: 11, RESIZE_BILINEAR: 15, RESHAPE: 17, MUL: 21, PAD: 22,
                TRANSPOSE: 26, MEAN: 27, SUB: 28, SQUEEZE: 30, STRIDED_SLICE: 32, SPLIT: 35, DEQUANTIZE: 38, PADV2: 43, EXPAND_DIMS: 52, RESIZE_NEAREST: 74,
                LEAKY_RELU: 75, QUANTIZE: 89}
NONE, RELU_FUSED, RELU6_FUSED = 0, 1, 3  # fused activations


def conv_options(stride, same, act=NONE, dil=(1, 1)):
    return {0: ("b", 0 if same else 1), 1: ("i", stride[1]), 2: ("i", stride[0]), 3: ("b", act), 4: ("i", dil[1]), 5: ("i", dil[0])}


def depthwise_options(stride, same, mult, act=NONE, dil=(1, 1)):
    return {0: ("b", 0 if same else 1), 1: ("i", stride[1]), 2: ("i", stride[0]), 3: ("i", mult), 4: ("b", act), 5: ("i", dil[1]), 6: ("i", dil[0])}


def pool_options(stride, same, k, act=NONE):
    return {0: ("b", 0 if same else 1), 1: ("i", stride[1]), 2: ("i", stride[0]), 3: ("i", k[1]), 4: ("i", k[0]), 5: ("b", act)}


def activation_options(act):  # of FULLY_CONNECTED, ADD, SUB, MUL
    return {0: ("b", act)}


def concat_options(axis):
    return {0: ("i", axis), 1: ("b", 0)}


def mean_options(keep_dims):
    return {0: ("?", keep_dims)}


def resize_options(code, align_corners, half_pixel):
    first = 2 if code == RESIZE_BILINEAR else 0
    return {first: ("?", align_corners), first + 1: ("?", half_pixel)}


def slice_options(begin_mask=0, end_mask=0, shrink_mask=0, ellipsis_mask=0, new_axis_mask=0):
    return {0: ("i", begin_mask), 1: ("i", end_mask), 2: ("i", ellipsis_mask), 3: ("i", new_axis_mask), 4: ("i", shrink_mask)}


def split_options(parts):
    return {0: ("i", parts)}


def float_options(v):  # beta of SOFTMAX, alpha of LEAKY_RELU
    return {0: ("f", v)}


class Table:
    """fields: {slot: (struct format, value) | Table | Vector}; laid out children last."""

    def __init__(self, fields):
        self.fields = fields


class Vector:
    def __init__(self, fmt, values):
        self.fmt, self.values = fmt, values  # fmt "*": children


def _pad(out, n):
    out.extend(b"\0" * (-len(out) % n))


def write(root):
    out = bytearray(8)
    out[4:8] = b"TFL3"
    todo = [(0, root)]  # (place of the offset, child)
    while todo:
        at, node = todo.pop()
        if isinstance(node, Vector):
            _pad(out, 8)
            out.extend(b"\0\0\0\0")  # so that 8-byte elements behind the length are aligned
            start = len(out)
            out.extend(struct.pack("<I", len(node.values)))
            if node.fmt == "*":
                for child in node.values:
                    todo.append((len(out), child))
                    out.extend(b"\0\0\0\0")
            else:
                out.extend(struct.pack(f"<{len(node.values)}{node.fmt}", *node.values))
        else:
            slots = max(node.fields, default=-1) + 1
            offsets, body = [0] * slots, bytearray(4)
            links = []
            for slot, field in node.fields.items():
                size = struct.calcsize("<" + field[0]) if isinstance(field, tuple) else 4
                _pad(body, size)
                offsets[slot] = len(body)
                if isinstance(field, tuple):
                    body.extend(struct.pack("<" + field[0], field[1]))
                else:
                    links.append((len(body), field))
                    body.extend(b"\0\0\0\0")
            _pad(out, 8)
            vtable = len(out)
            out.extend(struct.pack(f"<{2 + slots}H", 4 + 2 * slots, len(body), *offsets))
            _pad(out, 8)
            start = len(out)
            struct.pack_into("<i", body, 0, start - vtable)
            out.extend(body)
            todo.extend((start + place, child) for place, child in links)
        struct.pack_into("<I", out, at, start - at)
    return bytes(out)


def f32(v):
    """The float32 nearest to v, as Python's double."""
    return struct.unpack("<f", struct.pack("<f", v))[0]


class Model:
    def __init__(self):
        self.tensors, self.buffers, self.ops, self.codes = [], [Table({})], [], []
        self.quantization = []  # (scale, zero) as given, per tensor

    def tensor(self, shape, scale, zero=0, data=None, type_=I8, axis=0):
        buffer = 0
        if data is not None:
            raw = struct.pack(f"<{len(data)}{ {I32: 'i', F32: 'f'}.get(type_, 'b')}", *data)
            buffer = len(self.buffers)
            self.buffers.append(Table({0: Vector("B", list(raw))}))
        scales = scale if isinstance(scale, list) else [scale] if scale is not None else []
        q = {2: Vector("f", scales), 3: Vector("q", [zero] * len(scales)), 6: ("i", axis)} if scales else {}
        self.quantization.append((scale, zero))
        name = f"t{len(self.tensors)}"
        self.tensors.append(Table({0: Vector("i", shape), 1: ("b", type_), 2: ("I", buffer), 3: Vector("B", list(name.encode())), 4: Table(q)}))
        return len(self.tensors) - 1

    def ints(self, values, shape=None):
        """A constant int32 operand: axes, paddings, sizes."""
        return self.tensor([len(values)] if shape is None else shape, None, 0, values, I32)

    def op(self, code, inputs, outputs, options=None):
        """inputs, outputs: indices of tensors; outputs may be a single one."""
        outputs = outputs if isinstance(outputs, list) else [outputs]
        if code not in self.codes:
            self.codes.append(code)
        self.ops.append(Table({0: ("I", self.codes.index(code)), 1: Vector("i", inputs), 2: Vector("i", outputs), 3: ("B", OPTIONS_TYPE.get(code, 0)),
                               4: Table(options or {})}))

    def bytes(self, inputs, outputs):
        codes = [Table({0: ("b", c), 3: ("i", c)}) for c in self.codes]
        graph = Table({0: Vector("*", self.tensors), 1: Vector("i", inputs), 2: Vector("i", outputs), 3: Vector("*", self.ops)})
        return write(Table({0: ("I", 3), 1: Vector("*", codes), 2: Vector("*", [graph]), 4: Vector("*", self.buffers)}))
