# SPDX-License-Identifier: GPL-2.0-or-later
"""The int8 operators beside convolution, pooling and softmax (exactnet.py) from their definitions, with exact rationals: what `tflm` numerics must
give. Tensors are (shape, flat list). Written from the TensorFlow Lite 8-bit quantization specification, the operators' documentation and the
reference kernels' published formulas, not from the code under test. Where the reference computes a scale in single precision, so does f32()."""
import decimal
import itertools
import math
from fractions import Fraction

from exactnet import bounds, clamp, half_away, half_up, multiplier, scaled
from tflite_writer import f32


def count(shape):
    return math.prod(shape)


def places(shape):
    return itertools.product(*(range(n) for n in shape))


def at(shape, place):
    i = 0
    for n, p in zip(shape, place):
        i = i * n + p
    return i


def spread(shape, place):
    """Where a broadcast operand of that shape is read for a place of the output."""
    tail = place[len(place) - len(shape):] if shape else ()
    return at(shape, [p if n > 1 else 0 for n, p in zip(shape, tail)])


def sum_multipliers(kind, sa, sb, so):
    """Of both operands and of the sum. SUB's quotients are single precision."""
    single = f32 if kind == "sub" else float
    twice = single(2 * max(sa, sb))
    return [multiplier(single(q)) for q in (sa / twice, sb / twice, twice / single(2 ** 20 * so))]


def binary(kind, a, b, out_shape, c):
    """c: sa za sb zb so zo act; kind add, sub or mul."""
    (sha, va), (shb, vb) = a, b
    out, limits = [], bounds(c["act"], c["so"], c["zo"])
    if kind == "mul":
        me = multiplier(c["sa"] * c["sb"] / c["so"])
    else:
        ma, mb, mo = sum_multipliers(kind, c["sa"], c["sb"], c["so"])
    for p in places(out_shape):
        x, y = va[spread(sha, p)] - c["za"], vb[spread(shb, p)] - c["zb"]
        if kind == "mul":
            v = scaled(x * y, me)
        else:
            x, y = scaled(x << 20, ma), scaled(y << 20, mb)
            v = scaled(x - y if kind == "sub" else x + y, mo)
        out.append(clamp(v + c["zo"], limits))
    return out


def requantize(x, si, zi, so, zo):
    me = multiplier(si / so)
    return [clamp(scaled(v - zi, me) + zo, (-128, 127)) for v in x]


def relu(x, si, zi, so, zo):
    me = multiplier(f32(si / so))
    return [clamp(scaled(v - zi, me) + zo, (max(-128, zo), 127)) for v in x]


def relu6(x, s, z):
    return [clamp(v, bounds(3, s, z)) for v in x]


def leaky(x, si, zi, so, zo, alpha):
    same, slope = multiplier(f32(si / so)), f32(f32(si * alpha) / so)
    leak = multiplier(abs(slope))
    out = []
    for v in x:
        d = v - zi
        y = scaled(d, same) if d >= 0 else scaled(d, leak) * (-1 if slope < 0 else 1)
        out.append(clamp(y + zo, (-128, 127)))
    return out


# --- fixed point: exp, 1/(1+x), (1-x)/(1+x) on 32-bit numbers with a given number of fractional bits ----------------

decimal.getcontext().prec = 40


def high(a, b):
    return half_up(Fraction(a * b, 2 ** 31))


def shifted(v, bits):
    return half_away(Fraction(v, 2 ** bits))


def fixed(value, fraction_bits):
    """The nearest number; value a Decimal."""
    return int((value * 2 ** fraction_bits).to_integral_value(rounding=decimal.ROUND_HALF_EVEN))


def exp_negative(a, integer_bits):
    """exp(a) for a <= 0, fraction of 31 - integer_bits bits, as a fraction of 31 bits: the part below a quarter by four terms of the series around
    -1/8, the rest by squaring factors."""
    if a == 0:
        return 2 ** 31 - 1
    fraction = 31 - integer_bits
    quarter = 2 ** (fraction - 2)
    part = a % quarter - quarter
    x = (part << integer_bits) + 2 ** 28
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    series = x + shifted(high(shifted(x4, 2) + x3, fixed(decimal.Decimal(1) / 3, 31)) + x2, 1)
    base = fixed((decimal.Decimal(-1) / 8).exp(), 31)
    result = base + high(base, series)
    rest = part - a
    for k in range(-2, integer_bits):
        if rest >> (fraction + k) & 1:
            result = high(result, fixed((-decimal.Decimal(2) ** k).exp(), 31))
    return result


def newton(a):
    """2/(1+a) with 29 fractional bits, a in [0, 1) with 31: three steps for the reciprocal of (1+a)/2."""
    half = half_up(Fraction(a + 2 ** 31 - 1, 2))
    x = fixed(decimal.Decimal(48) / 17, 29) + high(half, fixed(decimal.Decimal(-32) / 17, 29))
    for _ in range(3):
        x += 4 * high(x, 2 ** 29 - high(half, x))
    return x


def sigmoid_table(si, zi, tanh):
    """256 results with the output quantization that the reference fixes: scale 1/256 and zero point -128, or 1/128 and 0."""
    m, e = multiplier(si * 2 ** 27)
    radius = math.floor(Fraction(15 * 2 ** 27) / Fraction(2) ** e)
    out = []
    for q in range(-128, 128):
        v = q - zi
        if v <= -radius:
            out.append(-128)
        elif v >= radius:
            out.append(127)
        else:
            a = scaled(v, (m, e))
            n = -abs(a)
            if tanh:
                t = min(4 * (newton(exp_negative(n, 5)) - 2 ** 29), 2 ** 31 - 1)
                y = shifted(0 if a == 0 else -t if a < 0 else t, 24)
            else:
                positive = min(2 * newton(exp_negative(n, 4)), 2 ** 31 - 1)
                y = shifted(2 ** 30 if a == 0 else positive if a > 0 else 2 ** 31 - 1 - positive, 23) - 128
            out.append(clamp(y, (-128, 127)))
    return out


# --- moving and reducing ------------------------------------------------------------------------------------------------

def transpose(shape, x, perm):
    out_shape = [shape[p] for p in perm]
    out = []
    for place in places(out_shape):
        source = [0] * len(shape)
        for d, p in enumerate(perm):
            source[p] = place[d]
        out.append(x[at(shape, source)])
    return out


def strided(shape, x, slices):
    """slices: Python's own, one an axis."""
    return [x[at(shape, p)] for p in itertools.product(*(range(n)[s] for n, s in zip(shape, slices)))]


def pad(shape, x, before, after, value):
    out = []
    for place in places([b + n + a for n, b, a in zip(shape, before, after)]):
        source = [p - b for p, b in zip(place, before)]
        out.append(x[at(shape, source)] if all(0 <= s < n for s, n in zip(source, shape)) else value)
    return out


def concat(parts, axis):
    """parts: [(shape, values)]; the joined values."""
    shape = list(parts[0][0])
    shape[axis] = sum(s[axis] for s, _ in parts)
    out = []
    for place in places(shape):
        place = list(place)
        for s, v in parts:
            if place[axis] < s[axis]:
                out.append(v[at(s, place)])
                break
            place[axis] -= s[axis]
    return shape, out


def mean(shape, x, axes, si, zi, so, zo):
    """The count's reciprocal goes into the multiplier: shifted left by its power of two, divided, truncated."""
    kept = [1 if d in axes else n for d, n in enumerate(shape)]
    n = count([shape[d] for d in axes])
    m, e = multiplier(si / so)
    left = min(n.bit_length() - 1, 31 + e)
    m, e = (m << left) // n, e - left
    sums = [0] * count(kept)
    for place, v in zip(places(shape), x):
        sums[at(kept, [0 if d in axes else p for d, p in enumerate(place)])] += v
    return [clamp(scaled(s - zi * n, (m, e)) + zo, (-128, 127)) for s in sums]


def nearest(shape, x, size, align, half):
    def source(i, n_in, n_out):
        scale = f32((n_in - 1) / (n_out - 1)) if align and n_out > 1 else f32(n_in / n_out)
        v = f32(f32(i + (0.5 if half else 0.0)) * scale)
        return max(0, min(half_away(Fraction(v)) if align else math.floor(v), n_in - 1))
    _, h, w, c = shape
    return [x[(source(oy, h, size[0]) * w + source(ox, w, size[1])) * c + k] for oy in range(size[0]) for ox in range(size[1]) for k in range(c)]


def bilinear(shape, x, size, align, half):
    def truncated(a, b):  # C's division
        return abs(a) // b * (1 if a >= 0 else -1)

    def weights(n_in, n_out):
        step = (1024 * n_in + n_out // 2) // n_out
        if align and n_out > 1:
            step = (1024 * (n_in - 1) + (n_out - 1) // 2) // (n_out - 1)
        rows = []
        for i in range(n_out):
            v = i * step + (step // 2 - 512 if half else 0)
            low = max(truncated(v, 1024), 0)
            rows.append((low, min(truncated(v + 1023, 1024), n_in - 1), v - 1024 * low))
        return rows
    _, h, w, c = shape
    out = []
    for y0, y1, fy in weights(h, size[0]):
        for x0, x1, fx in weights(w, size[1]):
            for k in range(c):
                v = sum(x[(y * w + xx) * c + k] * wy * wx for y, wy in ((y0, 1024 - fy), (y1, fy)) for xx, wx in ((x0, 1024 - fx), (x1, fx)))
                out.append(half_away(Fraction(v, 2 ** 20)))
    return out
