# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes and reads ONNX files for tests: a protobuf writer of its own, from the wire format's description (protobuf.dev/programming-guides/
encoding) and onnx.proto's field numbers."""
import struct

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
FORMATS = {FLOAT: "f", UINT8: "B", INT8: "b", INT32: "i", INT64: "q"}


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(v & 0x7F | (0x80 if v > 0x7F else 0))
        v >>= 7
        if not v:
            return bytes(out)


def field(number, value):
    """An integer field, or a length-delimited one for bytes and str."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """(number, wire type, value) of a message's top level."""
    at = 0

    def number():
        nonlocal at
        v = shift = 0
        while True:
            b = data[at]
            at += 1
            v |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                return v

    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, 0, number()
        elif key & 7 == 2:
            n = number()
            yield key >> 3, 2, data[at:at + n]
            at += n
        else:
            n = {1: 8, 5: 4}[key & 7]
            yield key >> 3, key & 7, data[at:at + n]
            at += n


def tensor(name, kind, dims, values):
    raw = struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)
    return b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) + field(9, raw)


def tensor_read(data):
    """(name, kind, dims, values) of a TensorProto."""
    name, kind, dims, raw, loose = "", 0, [], None, []
    for number, wire, value in fields(data):
        if number == 1:
            dims += [value] if wire == 0 else _packed(value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = value.decode()
        elif number == 9:
            raw = value
        elif number in (5, 7):
            loose += [value] if wire == 0 else _packed(value)
        elif number == 4:
            loose += list(struct.unpack(f"<{len(value) // 4}f", value))
    if raw is not None:
        loose = list(struct.unpack(f"<{len(raw) // struct.calcsize(FORMATS[kind])}{FORMATS[kind]}", raw))
    return name, kind, dims, loose


def _packed(data):
    out, v, shift = [], 0, 0
    for b in data:
        v |= (b & 0x7F) << shift
        shift += 7
        if not b & 0x80:
            out.append(v - (1 << 64) if v >> 63 else v)
            v = shift = 0
    return out


def attribute(name, value):
    if isinstance(value, float):
        return field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + field(20, 1)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, 3)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def node(op, inputs, outputs, attributes=None, name="", domain=""):
    return b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, name or outputs[0] if outputs else name) + field(4, op) \
        + b"".join(field(5, attribute(k, v)) for k, v in (attributes or {}).items()) + (field(7, domain) if domain else b"")


def value_info(name, kind, dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


class Model:
    """A graph in QDQ form."""

    def __init__(self, name, kind, dims, opset=13):
        self.nodes, self.constants, self.opset = [], [], opset
        self.inputs, self.outputs = [value_info(name, kind, dims)], []
        self.n = 0

    def fresh(self, stem):
        self.n += 1
        return f"{stem}_{self.n}"

    def constant(self, kind, dims, values, name=None):
        name = name or self.fresh("c")
        self.constants.append(tensor(name, kind, dims, values))
        return name

    def op(self, op, inputs, attributes=None, output=None, **k):
        output = output or self.fresh(op.lower())
        self.nodes.append(node(op, inputs, [output], attributes, **k))
        return output

    def quantize(self, x, scale, zero, kind=INT8, output=None):
        return self.op("QuantizeLinear", [x, self.constant(FLOAT, [], [scale]), self.constant(kind, [], [zero + (128 if kind == UINT8 else 0)])], output=output)

    def dequantize(self, x, scale, zero, kind=INT8, output=None):
        return self.op("DequantizeLinear", [x, self.constant(FLOAT, [], [scale]), self.constant(kind, [], [zero + (128 if kind == UINT8 else 0)])], output=output)

    def weights(self, dims, values, scales, axis, kind=INT8):
        """A dequantized constant; scales: one, or one per element of the axis."""
        shape = [len(scales)] if len(scales) > 1 else []
        zero = 128 if kind == UINT8 else 0
        w = self.constant(kind, dims, [v + zero for v in values])
        return self.op("DequantizeLinear", [w, self.constant(FLOAT, shape, scales), self.constant(kind, shape, [zero] * len(scales))], {"axis": axis})

    def bias(self, values, scales):
        shape = [len(scales)] if len(scales) > 1 else []
        b = self.constant(INT32, [len(values)], values)
        return self.op("DequantizeLinear", [b, self.constant(FLOAT, shape, scales), self.constant(INT32, shape, [0] * len(scales))], {"axis": 0})

    def output(self, name, kind, dims):
        self.outputs.append(value_info(name, kind, dims))

    def bytes(self):
        graph = b"".join(field(1, n) for n in self.nodes) + field(2, "g") + b"".join(field(5, c) for c in self.constants) \
            + b"".join(field(11, i) for i in self.inputs) + b"".join(field(12, o) for o in self.outputs)
        return field(1, 8) + field(2, "joulefarm test") + field(7, graph) + field(8, field(1, "") + field(2, self.opset))
