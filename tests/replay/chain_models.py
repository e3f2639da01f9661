# SPDX-License-Identifier: GPL-2.0-or-later
"""Random int8 models, each a chain of the operators that have kernels for instruction sets of their own, over their odd cases: channels, taps and cells
that fill no block, dilation, one-sided padding, depth multipliers, scales above 1, channels whose weights are 0 and whose bias is 2^30."""
import random

import tflite_writer as fm


def weights(r, n):
    return [r.randint(-127, 127) for _ in range(n)]


def size(n, k, stride, dil, same):
    return -(-n // stride) if same else (n - (k - 1) * dil - 1) // stride + 1


class Chain:
    def __init__(self, seed):
        self.r, self.m = random.Random(seed), fm.Model()
        self.shape = [1, self.r.randint(5, 11), self.r.randint(5, 11), self.r.choice([1, 3, 4, 8])]
        self.scale, self.zero = 1 / 64, self.r.choice([-128, 0, 5])
        self.input = self.x = self.m.tensor(self.shape, self.scale, self.zero)

    def output(self, shape, power=None, zero=None):
        power = self.r.uniform(-7, -4) if power is None else power
        self.shape, self.scale, self.zero = shape, fm.f32(2.0 ** power), self.r.choice([-128, 3, self.r.randint(-128, 127)]) if zero is None else zero
        self.x = self.m.tensor(shape, self.scale, self.zero)

    def scales(self, channels, taps, out_scale):
        """Of the weights, so that outputs use their range; some above, one channel dead."""
        s = [out_scale / self.scale * 2.0 ** self.r.uniform(-2, 1) / (64 * max(taps, 1) ** 0.5) for _ in range(channels)]
        bias, dead = [self.r.randint(-3000, 3000) for _ in s], set()
        if channels > 1 and self.r.random() < 0.4:
            dead.add(self.r.randrange(channels))
        if channels > 1 and self.r.random() < 0.3:
            s[self.r.randrange(channels)] = out_scale / self.scale * 1.7
        for c in dead:
            s[c], bias[c] = 1e-12, 1 << 30
        return [fm.f32(v) for v in s], bias, dead

    def window(self):
        r, (_, h, w, _) = self.r, self.shape
        k = (r.randint(1, min(3, h)), r.randint(1, min(4, w))) if r.random() < 0.6 else r.choice([(1, 1), (3, 3)])
        stride, dil = (r.choice([1, 1, 2]),) * 2, (1, 1)
        same = r.random() < 0.7 or h < k[0] or w < k[1]
        if same and r.random() < 0.2:
            stride, dil = (1, 1), (r.randint(1, 2), r.randint(1, 2))
        return k, stride, dil, same

    def convolve(self, depthwise):
        r, before = self.r, self.x
        k, stride, dil, same = self.window()
        c_in = self.shape[3]
        mult = r.choice([1, 1, 1, 2]) if depthwise else 1
        c_out = c_in * mult if depthwise else r.choice([1, 2, 3, 4, 5, 7, 8, 13])
        out = [1, size(self.shape[1], k[0], stride[0], dil[0], same), size(self.shape[2], k[1], stride[1], dil[1], same), c_out]
        taps = k[0] * k[1] * (1 if depthwise else c_in)
        in_scale = self.scale
        out_scale = fm.f32(2.0 ** r.uniform(-7, -4))
        s, bias, dead = self.scales(c_out, taps, out_scale)
        shape = [1, k[0], k[1], c_out] if depthwise else [c_out, k[0], k[1], c_in]
        w = weights(r, taps * c_out)
        for c in dead:
            for t in range(taps):
                w[t * c_out + c if depthwise else c * taps + t] = 0
        wt = self.m.tensor(shape, s, 0, w, axis=3 if depthwise else 0)
        bt = self.m.tensor([c_out], [fm.f32(in_scale * v) for v in s], 0, bias, fm.I32)
        act = r.choice([fm.NONE, fm.NONE, fm.RELU_FUSED, fm.RELU6_FUSED])
        options = fm.depthwise_options(stride, same, mult, act, dil) if depthwise else fm.conv_options(stride, same, act, dil)
        self.output(out)
        self.m.op(fm.DEPTHWISE if depthwise else fm.CONV, [before, wt, bt], self.x, options)

    def add(self):
        """The tensor rescaled in two ways; half the time all scales are powers of two, so that the sum meets ties."""
        before, shape, whole = self.x, self.shape, self.r.random() < 0.5
        operands = []
        for _ in range(2):
            self.output(shape, self.r.randint(-8, -7) if whole else None)
            operands.append(self.x)
            self.m.op(fm.QUANTIZE, [before], self.x)
        self.output(shape, *((-6, 3) if whole else ()))
        self.m.op(self.r.choice([fm.ADD, fm.SUB]), operands, self.x, fm.activation_options(0 if whole else self.r.choice([0, 1])))

    def dense(self):
        r, before = self.r, self.x
        n = self.shape[1] * self.shape[2] * self.shape[3]
        flat = self.m.tensor([1, n], self.scale, self.zero)
        self.m.op(fm.RESHAPE, [before, self.m.ints([1, n])], flat)
        out_n = r.choice([1, 3, 4, 10])
        s = fm.f32(2.0 ** -5 / self.scale / (64 * n ** 0.5))
        wt = self.m.tensor([out_n, n], s, 0, weights(r, n * out_n))
        bt = self.m.tensor([out_n], fm.f32(self.scale * s), 0, [r.randint(-3000, 3000) for _ in range(out_n)], fm.I32)
        self.output([1, out_n])
        self.m.op(fm.DENSE, [flat, wt, bt], self.x, fm.activation_options(0))


def model(seed, length=9):
    """The bytes of a .tflite file."""
    c = Chain(seed)
    for k in range(length):  # an addition and a depthwise convolution in each
        kind = {1: 3, 4: 2}.get(k, c.r.randrange(4))
        (lambda: c.convolve(False), lambda: c.convolve(False), lambda: c.convolve(True), c.add)[kind]()
    c.dense()
    return c.m.bytes([c.input], [c.x])
