# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the two independent executors: TensorFlow Lite in WebAssembly (npm package @tensorflow/tfjs-tflite) and Arm NN's reference
backend (Debian). Both answer for any tensor inside a model: the subgraph's list of outputs is rewritten in a copy of the file."""
import base64
import json
import os
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOME = f"{ROOT}/build/oracle"


class Refused(Exception):
    """The oracle does not take this model."""


def lcg(seed, n):
    """The reference input (jfm_lcg_fill), as bytes of int8."""
    x, out = 12345 * seed & 0xFFFFFFFF, bytearray(n)
    for i in range(n):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out[i] = ((x >> 24) - 128) & 0xFF
    return bytes(out)


def _field(b, table, slot):
    vtable = table - struct.unpack_from("<i", b, table)[0]
    at = 4 + 2 * slot
    off = struct.unpack_from("<H", b, vtable + at)[0] if at < struct.unpack_from("<H", b, vtable)[0] else 0
    return table + off if off else 0


def _follow(b, at):
    return at + struct.unpack_from("<I", b, at)[0]


def _vector(b, at):
    v = _follow(b, at)
    return v, struct.unpack_from("<I", b, v)[0]


def _ints(b, table, slot):
    at = _field(b, table, slot)
    if not at:
        return []
    v, n = _vector(b, at)
    return list(struct.unpack_from(f"<{n}i", b, v + 4))


class Graph:
    """What a test needs to know of a .tflite file: tensors and operators of its subgraph (slots of the published schema)."""

    def __init__(self, data):
        self.data = data
        v, _ = _vector(data, _field(data, _follow(data, 0), 2))
        g = self.graph = _follow(data, v + 4)
        v, n = _vector(data, _field(data, g, 0))
        self.shapes = [_ints(data, _follow(data, v + 4 + 4 * i), 0) for i in range(n)]
        self.inputs, self.outputs = _ints(data, g, 1), _ints(data, g, 2)
        v, n = _vector(data, _field(data, g, 3))
        self.node_outputs = [_ints(data, _follow(data, v + 4 + 4 * i), 2) for i in range(n)]

    def with_output(self, tensor):
        b = bytearray(self.data)
        v, n = _vector(b, _field(b, self.graph, 2))
        if n != 1:
            raise Refused("more than one output")
        struct.pack_into("<i", b, v + 4, tensor)
        return bytes(b)


class Tfjs:
    name = "tfjs-tflite"

    def __init__(self, simd=True):
        if not os.path.isdir(f"{HOME}/node_modules/@tensorflow/tfjs-tflite"):
            raise FileNotFoundError("@tensorflow/tfjs-tflite is not installed (make oracle-setup)")
        self.p = subprocess.Popen(["node", f"{HERE}/tflite_oracle.js", HOME, "simd" if simd else "plain"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, model, inputs, tensors=None, kernels=False):
        """Bytes of each wanted tensor (None: the model's outputs)."""
        q = {"model": base64.b64encode(model).decode(), "inputs": [base64.b64encode(i).decode() for i in inputs], "kernels": kernels}
        if tensors is not None:
            q["outputs"] = tensors
        self.p.stdin.write(json.dumps(q).encode() + b"\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.p.wait()}")
        a = json.loads(line)
        if "error" in a:
            raise Refused(a["error"])
        self.kernels = a["kernels"]
        return [base64.b64decode(o["data"]) for o in a["outputs"]]

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)
        self.p.stdout.close()


class ArmNN:
    name = "Arm NN"

    def __init__(self, directory):
        program = f"{ROOT}/build/oracle/armnn_oracle"
        if not os.path.exists(program):
            raise FileNotFoundError(f"{program} is not built (make oracle-setup)")
        self.dir = directory
        self.p = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, model, inputs, tensors=None):
        g = Graph(model) if tensors is not None else None
        out = []
        for t in [None] if tensors is None else tensors:
            names = [f"{self.dir}/armnn.{e}" for e in ("tflite", "in", "out")]
            for path, data in zip(names, (model if t is None else g.with_output(t), inputs[0])):
                with open(path, "wb") as f:
                    f.write(data)
            self.p.stdin.write(" ".join(names) + "\n")
            self.p.stdin.flush()
            line = self.p.stdout.readline()
            if not line:
                raise RuntimeError(f"{self.name} ended with status {self.p.wait()}")
            if not line.startswith("ok"):
                raise Refused(line.strip())
            with open(names[2], "rb") as f:
                out.append(f.read())
        return out

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)
        self.p.stdout.close()
