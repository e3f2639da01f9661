# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what tests need of a .tflite file: tensors with constants and quantization, operators with options. A flatbuffer reader of its
own (flatbuffers.dev/internals; slots of TensorFlow Lite's published schema)."""
import struct


def _field(b, table, slot):
    vtable = table - struct.unpack_from("<i", b, table)[0]
    at = 4 + 2 * slot
    off = struct.unpack_from("<H", b, vtable + at)[0] if at < struct.unpack_from("<H", b, vtable)[0] else 0
    return table + off if off else 0


def _follow(b, at):
    return at + struct.unpack_from("<I", b, at)[0]


class Table:
    def __init__(self, data, at):
        self.b, self.at = data, at

    def scalar(self, slot, fmt, default=0):
        at = _field(self.b, self.at, slot)
        return struct.unpack_from("<" + fmt, self.b, at)[0] if at else default

    def table(self, slot):
        at = _field(self.b, self.at, slot)
        return Table(self.b, _follow(self.b, at)) if at else None

    def vector(self, slot):
        """(place of the first element, count)."""
        at = _field(self.b, self.at, slot)
        if not at:
            return 0, 0
        v = _follow(self.b, at)
        return v + 4, struct.unpack_from("<I", self.b, v)[0]

    def list(self, slot, fmt):
        at, n = self.vector(slot)
        return list(struct.unpack_from(f"<{n}{fmt}", self.b, at)) if n else []

    def bytes(self, slot):
        at, n = self.vector(slot)
        return bytes(self.b[at:at + n])

    def tables(self, slot):
        at, n = self.vector(slot)
        return [Table(self.b, _follow(self.b, at + 4 * i)) for i in range(n)]


class Tensor:
    def __init__(self, t, buffers):
        self.shape, self.type, self.name = t.list(0, "i"), t.scalar(1, "b"), t.bytes(3).decode()
        self.data = buffers[t.scalar(2, "I")].bytes(0)
        q = t.table(4)
        self.scales, self.zeros, self.axis = (q.list(2, "f"), q.list(3, "q"), q.scalar(6, "i")) if q else ([], [], 0)

    def values(self):
        return list(struct.unpack(f"<{len(self.data) // (4 if self.type == 2 else 1)}{'i' if self.type == 2 else 'b'}", self.data))


class Operator:
    def __init__(self, t, codes):
        self.code, self.inputs, self.outputs, self.options = codes[t.scalar(0, "I")], t.list(1, "i"), t.list(2, "i"), t.table(4)


class Model:
    """The first subgraph."""

    def __init__(self, data):
        self.data = data
        root = Table(data, _follow(data, 0))
        codes = [max(c.scalar(0, "b"), c.scalar(3, "i")) for c in root.tables(1)]
        buffers = root.tables(4)
        self.graph = root.tables(2)[0]
        self.tensors = [Tensor(t, buffers) for t in self.graph.tables(0)]
        self.inputs, self.outputs = self.graph.list(1, "i"), self.graph.list(2, "i")
        self.operators = [Operator(t, codes) for t in self.graph.tables(3)]

    def with_output(self, tensor):
        """The same file with another tensor as its only output."""
        b = bytearray(self.data)
        at, n = self.graph.vector(2)
        if n != 1:
            raise ValueError("more than one output")
        struct.pack_into("<i", b, at, tensor)
        return bytes(b)
