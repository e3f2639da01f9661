# SPDX-License-Identifier: GPL-2.0-or-later
"""The int8 operators once more, from their definition, with exact rationals: what `tflm` numerics must give. Written from the
published rules (TensorFlow Lite 8-bit quantization specification; gemmlowp's fixed-point operations), not from the kernels."""
import math
from fractions import Fraction

HALF = Fraction(1, 2)


def half_up(q):
    return math.floor(q + HALF)


def half_away(q):
    return half_up(q) if q >= 0 else -half_up(-q)


def multiplier(real):
    """(m, e): real ~ m * 2^(e-31), m a 31-bit integer; real is a double, taken exactly."""
    real = Fraction(real)
    if real == 0:
        return 0, 0
    e = 0
    while real >= Fraction(2) ** e:
        e += 1
    while real < Fraction(2) ** (e - 1):
        e -= 1
    m = half_away(real / Fraction(2) ** e * 2 ** 31)
    if m == 2 ** 31:
        m, e = m // 2, e + 1
    return (0, 0) if e < -31 else (m, e)


def scaled(x, me):
    """Double rounding: to 31 fractional bits half up, then the remaining power of two half away from zero."""
    m, e = me
    high = half_up(Fraction(x * 2 ** max(e, 0) * m, 2 ** 31))
    return half_away(Fraction(high, 2 ** max(-e, 0)))


def bounds(activation, scale, zero):
    lo, hi = -128, 127
    if activation in (1, 3):
        lo = max(lo, zero)
    if activation == 3:
        hi = min(hi, zero + half_away(Fraction(6) / Fraction(scale)))
    return lo, hi


def clamp(v, lo_hi):
    return max(lo_hi[0], min(lo_hi[1], v))


def window(size, k, stride, dil, same):
    """(outputs, padding before)."""
    span = (k - 1) * dil + 1
    if not same:
        return (size - span) // stride + 1, 0
    n = -(-size // stride)
    return n, max((n - 1) * stride + span - size, 0) // 2


def taps(origin, k, dil, size):
    return [(i, origin + i * dil) for i in range(k) if 0 <= origin + i * dil < size]


def places(shape, k, stride, dil, same):
    """For each output pixel: its taps [(ky, y)], [(kx, x)]."""
    (oh, top), (ow, left) = (window(shape[d], k[d], stride[d], dil[d], same) for d in (0, 1))
    return [(taps(oy * stride[0] - top, k[0], dil[0], shape[0]), taps(ox * stride[1] - left, k[1], dil[1], shape[1]))
            for oy in range(oh) for ox in range(ow)]


def conv(x, w, bias, c):
    out = []
    for ys, xs in places(c["in"], c["k"], c["stride"], c["dil"], c["same"]):
        for o in range(c["out_c"]):
            acc = bias[o]
            for ky, y in ys:
                for kx, xx in xs:
                    for i in range(c["in"][2]):
                        acc += (x[(y * c["in"][1] + xx) * c["in"][2] + i] - c["zx"]) * w[((o * c["k"][0] + ky) * c["k"][1] + kx) * c["in"][2] + i]
            me = multiplier(c["sx"] * c["sw"][o] / c["so"])
            out.append(clamp(scaled(acc, me) + c["zo"], bounds(c["act"], c["so"], c["zo"])))
    return out


def depthwise(x, w, bias, c):
    out = []
    channels = c["in"][2] * c["mult"]
    for ys, xs in places(c["in"], c["k"], c["stride"], c["dil"], c["same"]):
        for o in range(channels):
            acc = bias[o] + sum((x[(y * c["in"][1] + xx) * c["in"][2] + o // c["mult"]] - c["zx"]) * w[(ky * c["k"][1] + kx) * channels + o]
                                for ky, y in ys for kx, xx in xs)
            me = multiplier(c["sx"] * c["sw"][o] / c["so"])
            out.append(clamp(scaled(acc, me) + c["zo"], bounds(c["act"], c["so"], c["zo"])))
    return out


def dense(x, w, bias, c, float32):
    me = multiplier(float32(c["sx"] * c["sw"]) / c["so"])  # the reference multiplies these two as float32
    n = c["in_n"]
    return [clamp(scaled(bias[o] + sum((x[i] - c["zx"]) * w[o * n + i] for i in range(n)), me) + c["zo"], bounds(c["act"], c["so"], c["zo"]))
            for o in range(c["out_n"])]


def add(x, y, c):
    twice = 2.0 * max(c["sx"], c["sy"])
    mx, my, mo = multiplier(c["sx"] / twice), multiplier(c["sy"] / twice), multiplier(twice / (2 ** 20 * c["so"]))
    out = []
    for a, b in zip(x, y):
        s = scaled((a - c["zx"]) << 20, mx) + scaled((b - c["zy"]) << 20, my)
        out.append(clamp(scaled(s, mo) + c["zo"], bounds(c["act"], c["so"], c["zo"])))
    return out


def pool(x, c):
    out = []
    for ys, xs in places(c["in"], c["k"], c["stride"], (1, 1), c["same"]):
        for ch in range(c["in"][2]):
            cells = [x[(y * c["in"][1] + xx) * c["in"][2] + ch] for _, y in ys for _, xx in xs]
            v = max(cells) if c["max"] else half_away(Fraction(sum(cells), len(cells)))
            out.append(clamp(v, bounds(c["act"], c["sx"], c["zx"])))
    return out


def softmax(x, n, scale, beta):
    """The real softmax, unrounded, in units of the output (1/256) above -128."""
    out = []
    for r in range(0, len(x), n):
        row = x[r:r + n]
        e = [math.exp(scale * beta * (v - max(row))) for v in row]
        out += [256.0 * v / sum(e) for v in e]
    return out


def lcg(seed, n):
    x, out = (12345 * seed) & 0xFFFFFFFF, []
    for _ in range(n):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out.append((x >> 24) - 128)
    return out
