# SPDX-License-Identifier: MIT
"""Talking to the firmware from tests: a line-wise dialogue with deadlines, pseudo-random inputs, and the published check values.

The golden CRCs were computed with an independent implementation of TensorFlow Lite Micro's arithmetic, itself compared with TFLM's reference
kernels on every layer; input: x0 = 12345 * seed mod 2^32, x = 1664525 x + 1013904223, byte = (x >> 24) - 128."""
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {"ad01": "ad01_int8", "kws01": "kws_ref_model", "ic01": "pretrainedResnet_quant", "vww01": "vww_96_int8"}
# model: (input bytes as int8, form of the loaded bytes, {seed: CRC-32 of the output in tflm numerics})
GOLDEN = {
    "ad01": (640, "f32", {1: "418fef1d", 2: "cb05a81f", 3: "e1ecb846"}),
    "kws01": (490, "i8", {1: "feebd905", 2: "644ce02c", 3: "6ee3d819"}),
    "ic01": (3072, "u8", {1: "6d0c90cb", 2: "f0ea10b3", 3: "74f9d306"}),
    "vww01": (27648, "u8", {1: "90d2a596", 2: "90d2a596", 3: "ccf8c6c3"}),
}
AD01_SCALE, AD01_ZERO = 0.391015, 89  # of the model's input tensor, as published with it
AD01_OUT_SCALE, AD01_OUT_ZERO = 0.364498, 96


def lcg(seed, n):
    """n pseudo-random bytes 0..255; the tensor's int8 value is byte - 128."""
    x, out = (12345 * seed) & 0xFFFFFFFF, bytearray()
    for _ in range(n):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out.append(x >> 24)
    return bytes(out)


def tensor(model, seed):
    return bytes((b - 128) & 0xFF for b in lcg(seed, GOLDEN[model][0]))


def payload(model, seed):
    """What the host loads so that the input tensor becomes tensor(model, seed)."""
    n, form, _ = GOLDEN[model]
    raw = lcg(seed, n)
    if form == "u8":
        return raw
    if form == "i8":
        return tensor(model, seed)
    return b"".join(struct.pack("<f", (b - 128 - AD01_ZERO) * AD01_SCALE) for b in raw)


def crc_of_results(line):
    """The output tensor's CRC back out of an m-results line with softmax values (steps of 1/256, printed to 1/1000)."""
    values = [float(v) for v in line[len("m-results-["):-1].split(",")]
    return f"{zlib.crc32(bytes((round(v * 256) - 128) & 0xFF for v in values)):08x}"


def ad01_error(seed, output):
    """Mean squared reconstruction error of the loaded floats against the output tensor, by the definition."""
    floats = struct.unpack("<640f", payload("ad01", seed))
    return sum((x - (q - AD01_OUT_ZERO) * AD01_OUT_SCALE) ** 2 for x, q in zip(floats, output)) / 640


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good, name, detail=""):
        self.n += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        if not good and detail != "":
            print(f"# {detail}", flush=True)
        return good

    def end(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.bad else 0)


class Dialogue:
    """Commands and reply lines over a pair of file descriptors."""

    def __init__(self, read_fd, write_fd):
        self.rd, self.wr, self.buffer = read_fd, write_fd, b""

    def line(self, timeout_s):
        until = time.monotonic() + timeout_s
        while b"\n" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.rd], [], [], left)[0]:
                raise TimeoutError(f"no line within {timeout_s} s; have {self.buffer!r}")
            got = os.read(self.rd, 4096)
            if not got:
                raise EOFError(f"the device is gone; have {self.buffer!r}")
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("ascii", "replace")

    def until_ready(self, timeout_s=10.0):
        """The lines before m-ready."""
        lines = []
        while not lines or lines[-1] != "m-ready":
            lines.append(self.line(timeout_s))
        return lines[:-1]

    def say(self, command, timeout_s=10.0):
        os.write(self.wr, command.encode() + b"%")
        return self.until_ready(timeout_s)

    def load(self, data):
        """All of data by db commands; the last reply."""
        reply = self.say(f"db load {len(data)}")
        for i in range(0, len(data), 31):
            reply = self.say("db " + data[i:i + 31].hex())
        return reply


def fields(lines, word):
    """The fields of the one m-jf-<word>-[...] line, or None."""
    head = f"m-jf-{word}-[" if word else "m-jf-["
    found = [x[len(head):-1].split(",") for x in lines if x.startswith(head) and x.endswith("]")]
    return found[0] if len(found) == 1 else None


def check_identity(t, d, model, core_hz):
    t.ok(d.say("name") == ["m-name-dut-[joulefarm]"], f"{model}: name%")
    profile = d.say("profile")
    t.ok(profile == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{model}]"], f"{model}: profile%", profile)
    plain = d.say("infer 1 0", 60)
    t.ok([x.split("-[")[0] for x in plain] == ["m-warmup-start-0", "m-warmup-done", "m-infer-start-1", "m-infer-done", "m-results"],
         f"{model}: infer before jf on% is plain MLPerf Tiny", plain)
    told = d.say("jf on")
    build, golden = fields(told, "build"), fields(told, "golden")
    t.ok(fields(told, "") == ["1"] and build and build[1] == model and len(build[0]) == 40 and build[3:] == ["tflm", str(core_hz), "wfi"],
         f"{model}: jf on% says who it is", told)
    t.ok(golden == [GOLDEN[model][2][1], "1"], f"{model}: golden output of this boot", golden)
    return told


def check_layers(t, d, model, seed, timeout_s):
    """Every layer on the device against the host's, through the tool that people would use."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(d.say("jf layers", timeout_s)))
        f.flush()
        p = subprocess.run([f"{ROOT}/build/jf-model", "diff", f"{ROOT}/firmware/models/{FILES[model]}.tflite", f.name, "--input", f"lcg:{seed}", "--json"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    told = json.loads(p.stdout) if p.stdout else {}
    t.ok(p.returncode == 0 and told["equal"] and told["layers_compared"] == told["layers_a"], f"{model}: every layer on the device equals the host's, input {seed}", (told, p.stderr))


def check_inference(t, d, model, seed, timeout_s=60):
    loaded = d.load(payload(model, seed))
    t.ok(loaded == ["m-load-done"], f"{model}: input {seed} loaded", loaded)
    lines = d.say("infer 2 1", timeout_s)
    heads = [x.split("-[")[0] for x in lines]
    t.ok(heads == ["m-warmup-start-1", "m-warmup-done", "m-infer-start-2", "m-jf-window", "m-jf-input", "m-jf-output", "m-infer-done", "m-results"],
         f"{model}: infer 2 1% replies in order", lines)
    t.ok(fields(lines, "input") == [f"{zlib.crc32(tensor(model, seed)):08x}"], f"{model}: input {seed} reached the tensor", lines)
    t.ok(fields(lines, "output") == [GOLDEN[model][2][seed]], f"{model}: output for input {seed} is the published one", lines)
    if model != "ad01":
        t.ok(crc_of_results(lines[-1]) == GOLDEN[model][2][seed], f"{model}: printed results are that output", lines[-1])
    t.ok(d.say("results") == lines[-1:], f"{model}: results% repeats them")
    check_layers(t, d, model, seed, timeout_s)
    return lines
