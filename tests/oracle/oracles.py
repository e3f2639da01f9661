# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the two independent executors: TensorFlow Lite in WebAssembly (npm package @tensorflow/tfjs-tflite) and Arm NN's reference
backend (Debian). Both answer for any tensor inside a model: the subgraph's list of outputs is rewritten in a copy of the file."""
import base64
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOME = f"{ROOT}/build/oracle"
sys.path.append(f"{ROOT}/tests/replay")
import tflite_reader  # noqa: E402


class Refused(Exception):
    """The oracle does not take this model."""


def lcg(seed, n):
    """The reference input (jfm_lcg_fill), as bytes of int8."""
    x, out = 12345 * seed & 0xFFFFFFFF, bytearray(n)
    for i in range(n):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out[i] = ((x >> 24) - 128) & 0xFF
    return bytes(out)


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
        g = tflite_reader.Model(model) if tensors is not None else None
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
