#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the five networks of "Benchmarking Ultra-Low-Power uNPUs" (2025) as untrained int8 TensorFlow Lite models of the same shape:
NAS, ResNet, SimpleNet, autoencoder, YOLO. No file of the paper's repository is used: layers, channels and kernels are facts read from
its model descriptions (j0shmillar/uNPU-Bench; for NAS, ResNet and SimpleNet the shapes of Analog Devices' ai85 networks), confirmed by
its published counts of multiply-accumulates and weights, which each model here meets exactly. Weights are random (He-uniform, fixed
seed) and activation scales follow from their variance, so that no layer is dead or saturated: energy and time are those of the trained
network, answers are not.

usage: paper.py OUTDIR [NAME...]   writes OUTDIR/paper_NAME.tflite"""
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/replay"))
import tflite_writer as fm  # noqa: E402

SIGMAS = 4.0  # an activation's range, in standard deviations


class Random:
    """The generator of Numerical Recipes, as the reference inputs: the same bytes on every machine."""

    def __init__(self, seed):
        self.x = 12345 * seed & 0xFFFFFFFF

    def byte(self):
        self.x = (1664525 * self.x + 1013904223) & 0xFFFFFFFF
        return (self.x >> 24) - 128

    def weights(self, n):
        return [max(-127, self.byte()) for _ in range(n)]


class Net:
    """A chain of layers. shape is NHWC; power is the mean square of the activations, in their real unit."""

    def __init__(self, seed, shape):
        self.r, self.m = Random(seed), fm.Model()
        self.shape, self.power, self.scale, self.zero = shape, 1 / 3, fm.f32(1 / 128), 0
        self.x = self.input = self.m.tensor(shape, self.scale, self.zero)
        self.macs = self.pool_macs = self.n_weights = 0

    def _out(self, shape, power, relu):
        """power: of the sum before the activation. A rectified Gaussian keeps half of it."""
        limit = SIGMAS * math.sqrt(power)
        self.scale, self.zero = (fm.f32(limit / 255), -128) if relu else (fm.f32(limit / 128), 0)
        self.shape, self.power = shape, power / 2 if relu else power
        return self.m.tensor(shape, self.scale, self.zero)

    def _weights(self, shape, fan_in, channels):
        n = math.prod(shape)
        self.n_weights += n
        limit = math.sqrt(6 / fan_in)  # He-uniform: variance 2 / fan_in
        scales = [fm.f32(limit / 127 * (0.75 + (self.r.byte() + 128) / 510)) for _ in range(channels)]  # mean 1
        w = self.m.tensor(shape, scales if len(scales) > 1 else scales[0], 0, self.r.weights(n))
        bias = [self.r.byte() * 4 for _ in range(shape[0])]
        bias_scales = [fm.f32(self.scale * s) for s in scales]
        b = self.m.tensor([shape[0]], bias_scales if len(scales) > 1 else bias_scales[0], 0, bias, fm.I32)
        return w, b

    def conv(self, out_c, k, relu=True, k_h=None):
        """k x k, stride 1; SAME, but VALID for k_h x k (the one-dimensional ones)."""
        _, h, w, c = self.shape
        kh = k if k_h is None else k_h
        same = k_h is None
        wt, b = self._weights([out_c, kh, k, c], kh * k * c, out_c)
        oh, ow = (h, w) if same else (h - kh + 1, w - k + 1)
        self.macs += oh * ow * out_c * kh * k * c
        x, y = self.x, self._out([1, oh, ow, out_c], 2 * self.power, relu)
        self.m.op(fm.CONV, [x, wt, b], y, {0: ("b", 0 if same else 1), 1: ("i", 1), 2: ("i", 1), 3: ("b", 1 if relu else 0), 4: ("i", 1), 5: ("i", 1)})
        self.x = y

    def pool(self):
        _, h, w, c = self.shape
        self.shape = [1, h // 2, w // 2, c]
        self.pool_macs += math.prod(self.shape) * 4
        y = self.m.tensor(self.shape, self.scale, self.zero)
        self.m.op(fm.MAX_POOL, [self.x], y, {0: ("b", 1), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2), 5: ("b", 0)})
        self.x = y
        self.power *= 1.8  # of the largest of four rectified values, about

    def add(self, other):
        """other: (tensor, power), of the present shape."""
        x = self.x
        total = self.power + other[1]
        y = self._out(self.shape, 2 * total, True)  # both are rectified: no negative side
        self.power = total * 1.5
        self.m.op(fm.ADD, [x, other[0]], y, {0: ("b", 0)})
        self.x = y

    def global_average(self):
        _, h, w, c = self.shape
        self.shape = [1, 1, 1, c]
        self.pool_macs += h * w * c
        self.vela_weights = h * w * c  # Vela carries out this mean as a depthwise convolution
        y = self.m.tensor(self.shape, self.scale, self.zero)
        self.m.op(fm.AVERAGE_POOL, [self.x], y, {0: ("b", 1), 1: ("i", w), 2: ("i", h), 3: ("i", w), 4: ("i", h), 5: ("b", 0)})
        self.x = y

    def reshape(self, shape):
        self.shape = shape
        y = self.m.tensor(shape, self.scale, self.zero)
        s = self.m.tensor([len(shape)], None, 0, shape, fm.I32)
        self.m.op(fm.RESHAPE, [self.x, s], y, {})
        self.x = y

    def dense(self, out_n, relu=True):
        n = self.shape[-1]
        wt, b = self._weights([out_n, n], n, 1)
        self.macs += out_n * n
        x, y = self.x, self._out([1, out_n], 2 * self.power, relu)
        self.m.op(fm.DENSE, [x, wt, b], y, {0: ("b", 1 if relu else 0)})
        self.x = y

    def bytes(self):
        return self.m.bytes([self.input], [self.x])


def nas():
    n = Net(1, [1, 32, 32, 3])
    n.conv(64, 3), n.conv(32, 1), n.conv(64, 3)
    n.pool(), n.conv(32, 3), n.conv(64, 1)
    n.pool(), n.conv(128, 3), n.conv(128, 1)
    n.pool(), n.conv(64, 3), n.conv(128, 3)
    n.pool(), n.conv(512, 1)
    n.global_average(), n.reshape([1, 512]), n.dense(10, relu=False)
    return n


def simplenet(seed=3, residual=False):
    n = Net(seed, [1, 32, 32, 3])
    skip = None

    def keep():
        nonlocal skip
        skip = (n.x, n.power)

    def join():
        if residual:
            n.add(skip)

    n.conv(16, 3), n.conv(20, 3), keep(), n.conv(20, 3), join(), n.conv(20, 3)
    n.pool(), n.conv(20, 3), keep(), n.conv(20, 3), join(), n.conv(44, 3)
    n.pool(), n.conv(48, 3), keep(), n.conv(48, 3), join()
    n.pool(), n.conv(96, 3)
    n.pool(), n.conv(512, 1), n.conv(128, 1)
    n.pool(), n.conv(128, 3), n.conv(100, 1, relu=False), n.reshape([1, 100])
    return n


def autoencoder():
    n = Net(4, [1, 1, 3, 256])
    n.conv(128, 1, k_h=1), n.conv(64, 3, k_h=1), n.reshape([1, 64])
    n.dense(32), n.dense(4), n.dense(32), n.dense(96), n.dense(768, relu=False)
    n.reshape([1, 3, 256])
    return n


def yolo():
    n = Net(5, [1, 96, 96, 3])
    n.conv(16, 3), n.pool(), n.conv(16, 3), n.pool(), n.conv(16, 1)
    for _ in range(2):
        n.conv(32, 3), n.conv(16, 1)
    n.conv(32, 3), n.pool(), n.conv(16, 1)
    for _ in range(2):
        n.conv(32, 3), n.conv(16, 1)
    n.conv(32, 3), n.conv(16, 1), n.conv(32, 3)
    n.conv(32, 1), n.conv(16, 1), n.conv(16, 1), n.conv(12, 1, relu=False)
    return n


# name: (maker, multiply-accumulates and weights as Vela printed them for the paper's files, of these not the layers': Vela counts poolings
# as multiply-accumulates, a global mean's ones as weights, and the YOLO file's two slices of the head element by element)
MODELS = {"nas": (nas, 36471808, 352960, 0), "resnet": (lambda: simplenet(2, True), 18498048, 381792, 0), "simplenet": (simplenet, 18498048, 381792, 0),
          "autoencoder": (autoencoder, 201984, 136448, 0), "yolo": (yolo, 21428928, 40304, 12 * 12 * 12)}


def build(name):
    maker, macs, weights, slices = MODELS[name]
    n = maker()
    if n.macs + n.pool_macs + slices != macs or n.n_weights + getattr(n, "vela_weights", 0) != weights:
        raise SystemExit(f"paper.py: {name} has {n.macs + n.pool_macs + slices} operations and {n.n_weights} weights, published are {macs} and {weights}")
    return n


def main(argv):
    names = argv[2:] or list(MODELS)
    if len(argv) < 2 or argv[1].startswith("-") or not set(names) <= set(MODELS):
        print(__doc__.rstrip() + "\nnames: " + " ".join(MODELS), file=sys.stderr if len(argv) < 2 or argv[1] not in ("-h", "--help") else sys.stdout)
        return 0 if len(argv) > 1 and argv[1] in ("-h", "--help") else 2
    os.makedirs(argv[1], exist_ok=True)
    for name in names:
        data = build(name).bytes()
        path = os.path.join(argv[1], f"paper_{name}.tflite")
        with open(path + ".part", "wb") as f:
            f.write(data)
        os.replace(path + ".part", path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
