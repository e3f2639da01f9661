# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes small TensorFlow Lite files for tests: a flatbuffer writer of its own, from the format's description
(flatbuffers.dev/internals) and the schema's slot numbers, and models of one or more int8 operators."""
import struct

I8, I32, F32 = 9, 2, 0
ADD, AVERAGE_POOL, CONV, DEPTHWISE, DENSE, MAX_POOL, RESHAPE, SOFTMAX = 0, 1, 3, 4, 9, 17, 22, 25
OPTIONS_TYPE = {CONV: 1, DEPTHWISE: 2, AVERAGE_POOL: 5, MAX_POOL: 5, DENSE: 8, SOFTMAX: 9, ADD: 11, RESHAPE: 17}


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

    def tensor(self, shape, scale, zero=0, data=None, type_=I8, axis=0):
        buffer = 0
        if data is not None:
            raw = struct.pack(f"<{len(data)}{'i' if type_ == I32 else 'b'}", *data)
            buffer = len(self.buffers)
            self.buffers.append(Table({0: Vector("B", list(raw))}))
        scales = scale if isinstance(scale, list) else [scale] if scale is not None else []
        q = {2: Vector("f", scales), 3: Vector("q", [zero] * len(scales)), 6: ("i", axis)} if scales else {}
        name = f"t{len(self.tensors)}"
        self.tensors.append(Table({0: Vector("i", shape), 1: ("b", type_), 2: ("I", buffer), 3: Vector("B", list(name.encode())), 4: Table(q)}))
        return len(self.tensors) - 1

    def op(self, code, inputs, output, options):
        if code not in self.codes:
            self.codes.append(code)
        self.ops.append(Table({0: ("I", self.codes.index(code)), 1: Vector("i", inputs), 2: Vector("i", [output]), 3: ("B", OPTIONS_TYPE.get(code, 0)),
                               4: Table(options)}))

    def bytes(self, inputs, outputs):
        codes = [Table({0: ("b", c), 3: ("i", c)}) for c in self.codes]
        graph = Table({0: Vector("*", self.tensors), 1: Vector("i", inputs), 2: Vector("i", outputs), 3: Vector("*", self.ops)})
        return write(Table({0: ("I", 3), 1: Vector("*", codes), 2: Vector("*", [graph]), 4: Vector("*", self.buffers)}))
