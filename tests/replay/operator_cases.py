# SPDX-License-Identifier: GPL-2.0-or-later
"""Random models of one operator (beside those of test_model_exact.py), each with the output that exact arithmetic gives for the input lcg:5 under
`tflm`. CASES: name -> function of a random.Random to (bytes of the model, expected values). The models serve other comparisons too."""
import random

import exactops as ex
import tflite_writer as fm
from exactnet import bounds, lcg


def scale(r, lo=-9, hi=0):
    return fm.f32(2.0 ** r.uniform(lo, hi))


def zero(r):
    return r.choice([-128, 0, 127, r.randint(-128, 127)])


def shape_of(r, low=1, high=4, largest=6):
    return [1] + [r.randint(1, largest) for _ in range(r.randint(low, high) - 1)]


def image(r, largest=7):
    return [1, r.randint(1, largest), r.randint(1, largest), r.randint(1, 5)]


def values(r, n):
    return [r.randint(-128, 127) for _ in range(n)]


def binary(kind):
    def case(r):
        m, shape = fm.Model(), shape_of(r)
        c = {"sa": scale(r), "za": zero(r), "sb": scale(r), "zb": zero(r), "so": scale(r, -7, 2), "zo": zero(r), "act": r.choice([0, 0, 1, 3])}
        if kind == "mul":
            c["so"] = fm.f32(c["sa"] * c["sb"] * 2.0 ** r.uniform(2, 9))
        x = m.tensor(shape, c["sa"], c["za"])
        vx = lcg(5, ex.count(shape))
        how = r.choice(["same", "scalar", "constant", "broadcast", "both"])
        if how == "same":  # the operand is the input, rescaled by another node
            y, other, vy = m.tensor(shape, c["sb"], c["zb"]), shape, ex.requantize(vx, c["sa"], c["za"], c["sb"], c["zb"])
            m.op(fm.QUANTIZE, [x], y)
        else:
            other = {"scalar": [], "constant": shape, "broadcast": [n if r.random() < 0.5 else 1 for n in shape], "both": [n if n > 1 else r.randint(1, 3) for n in shape]}[how]
            if how == "broadcast" and r.random() < 0.3:
                other = other[1:]
            vy = values(r, ex.count(other))
            y = m.tensor(other, c["sb"], c["zb"], vy)
        out = list(shape) if how != "both" else [max(p, q) for p, q in zip(shape, other)]
        a, b = (shape, vx), (other, vy)
        operands = [x, y]
        if r.random() < 0.4:
            a, b, operands = b, a, [y, x]
            c.update(sa=c["sb"], za=c["zb"], sb=c["sa"], zb=c["za"])
        z = m.tensor(out, c["so"], c["zo"])
        m.op({"add": fm.ADD, "sub": fm.SUB, "mul": fm.MUL}[kind], operands, z, fm.activation_options(c["act"]))
        return m.bytes([x], [z]), ex.binary(kind, a, b, out, c)
    return case


def unary(kind):
    def case(r):
        m, shape = fm.Model(), shape_of(r, largest=8)
        si, zi, so, zo = scale(r, -8, 0), zero(r), scale(r, -8, 0), zero(r)
        n = ex.count(shape)
        data, alpha = lcg(5, n), fm.f32(r.choice([0.1, 0.3, 0.01, -0.2, 1.5, r.random()]))
        if kind in ("logistic", "tanh"):
            si = scale(r, -10, 1)
            so, zo = (1 / 128, 0) if kind == "tanh" else (1 / 256, -128)
        elif kind == "relu6":
            so, zo = si, zi
        x = m.tensor(shape, si, zi)
        y = m.tensor(shape, so, zo)
        code, options = {"relu": fm.RELU, "relu6": fm.RELU6, "leaky": fm.LEAKY_RELU, "logistic": fm.LOGISTIC, "tanh": fm.TANH, "quantize": fm.QUANTIZE}[kind], {}
        if kind == "leaky":
            options, want = fm.float_options(alpha), ex.leaky(data, si, zi, so, zo, alpha)
        elif kind in ("logistic", "tanh"):
            table = ex.sigmoid_table(si, zi, kind == "tanh")
            want = [table[v + 128] for v in data]
        elif kind == "relu6":
            want = ex.relu6(data, si, zi)
        else:
            want = {"relu": ex.relu, "quantize": ex.requantize}[kind](data, si, zi, so, zo)
        m.op(code, [x], y, options)
        return m.bytes([x], [y]), want
    return case


def mean(r):
    m, shape = fm.Model(), image(r) if r.random() < 0.6 else shape_of(r, largest=7)
    axes = sorted(r.sample(range(len(shape)), r.randint(1, len(shape)))) if r.random() < 0.5 or len(shape) < 4 else [1, 2]
    si, zi, so, zo = scale(r, -6, 0), zero(r), scale(r, -7, 0), zero(r)
    keep = r.random() < 0.5
    out = [1 if d in axes else n for d, n in enumerate(shape) if keep or d not in axes]
    x, y = m.tensor(shape, si, zi), m.tensor(out, so, zo)
    named = [d - len(shape) if r.random() < 0.3 else d for d in axes]
    m.op(fm.MEAN, [x, m.ints(named)], y, fm.mean_options(keep))
    return m.bytes([x], [y]), ex.mean(shape, lcg(5, ex.count(shape)), axes, si, zi, so, zo)


def pad(r):
    m, shape = fm.Model(), shape_of(r)
    before, after = [r.choice([0, 0, 1, 2]) for _ in shape], [r.choice([0, 0, 1, 3]) for _ in shape]
    s, z, v2 = scale(r), zero(r), r.random() < 0.4
    value = r.randint(-128, 127) if v2 else z
    x = m.tensor(shape, s, z)
    y = m.tensor([b + n + a for n, b, a in zip(shape, before, after)], s, z)
    pads = m.ints([v for pair in zip(before, after) for v in pair], [len(shape), 2])
    m.op(fm.PADV2 if v2 else fm.PAD, [x, pads] + ([m.tensor([], s, z, [value])] if v2 else []), y)
    return m.bytes([x], [y]), ex.pad(shape, lcg(5, ex.count(shape)), before, after, value)


def concat(r):
    """The input, parts of it and constants, along any axis."""
    m, shape = fm.Model(), shape_of(r, 2)
    axis, s, z = r.randrange(len(shape)), scale(r), zero(r)
    x = m.tensor(shape, s, z)
    data = lcg(5, ex.count(shape))
    parts, operands = [], []
    for _ in range(r.randint(1, 5)):
        if r.random() < 0.5:
            parts.append((shape, data))
            operands.append(x)
        else:
            other = [r.randint(1, 3) if d == axis else n for d, n in enumerate(shape)]
            parts.append((other, values(r, ex.count(other))))
            operands.append(m.tensor(other, s, z, parts[-1][1]))
    if x not in operands:
        parts.append((shape, data))
        operands.append(x)
    out, want = ex.concat(parts, axis)
    y = m.tensor(out, s, z)
    m.op(fm.CONCAT, operands, y, fm.concat_options(axis - len(shape) if r.random() < 0.3 else axis))
    return m.bytes([x], [y]), want


def reshape(r):
    """RESHAPE, SQUEEZE and EXPAND_DIMS in a row, with a rescaling last so that something is computed."""
    m, shape = fm.Model(), shape_of(r)
    n, s, z = ex.count(shape), scale(r), zero(r)
    so, zo = scale(r), zero(r)
    x = m.tensor(shape, s, z)
    flat, tall = m.tensor([n], s, z), m.tensor([n, 1], s, z)
    thin, y = m.tensor([n], s, z), m.tensor([n], so, zo)
    m.op(fm.RESHAPE, [x, m.ints([n])], flat)
    m.op(fm.EXPAND_DIMS, [flat, m.ints([1], [])], tall)
    m.op(fm.SQUEEZE, [tall], thin)
    m.op(fm.QUANTIZE, [thin], y)
    return m.bytes([x], [y]), ex.requantize(lcg(5, n), s, z, so, zo)


def transpose(r):
    m, shape = fm.Model(), [r.randint(1, 5) for _ in range(r.randint(1, 5))]
    perm = r.sample(range(len(shape)), len(shape))
    s, z = scale(r), zero(r)
    x, y = m.tensor(shape, s, z), m.tensor([shape[p] for p in perm], s, z)
    m.op(fm.TRANSPOSE, [x, m.ints(perm)], y)
    return m.bytes([x], [y]), ex.transpose(shape, lcg(5, ex.count(shape)), perm)


def strided_slice(r):
    """What Python's own slices say; ends beyond the tensor, negative steps, masks, dropped axes."""
    shape = shape_of(r, 1, 4, 9)
    begin, end, step, masks, slices, out = [], [], [], [0, 0, 0], [], []
    for d, n in enumerate(shape):
        while True:  # until something is left of the axis
            b, e, s = r.randint(-n, n - 1), r.randint(-n - 1, n + 2), r.choice([1, 1, 2, 3, -1, -2])
            drop, no_begin, no_end = r.random() < 0.1, r.random() < 0.2, r.random() < 0.2
            one = b + n if b < 0 else b
            part = slice(one, one + 1) if drop else slice(None if no_begin else b, None if no_end else e, s)
            if len(range(n)[part]) > 0:
                break
        if drop:
            masks[2] |= 1 << d
        else:
            masks[0] |= no_begin << d
            masks[1] |= no_end << d
            out.append(len(range(n)[part]))
        slices.append(part)
        begin.append(b)
        end.append(e)
        step.append(1 if drop else s)
    m, s, z = fm.Model(), scale(r), zero(r)
    x, y = m.tensor(shape, s, z), m.tensor(out, s, z)
    m.op(fm.STRIDED_SLICE, [x, m.ints(begin), m.ints(end), m.ints(step)], y, fm.slice_options(*masks))
    return m.bytes([x], [y]), ex.strided(shape, lcg(5, ex.count(shape)), slices)


def split(r):
    """Equal parts, joined again in reverse order."""
    m, shape = fm.Model(), shape_of(r, 2)
    axis, parts = r.randrange(len(shape)), r.randint(1, 4)
    part, s, z = list(shape), scale(r), zero(r)
    shape[axis] = part[axis] * parts
    x, y = m.tensor(shape, s, z), m.tensor(shape, s, z)
    pieces = [m.tensor(part, s, z) for _ in range(parts)]
    m.op(fm.SPLIT, [m.ints([axis], []), x], pieces, fm.split_options(parts))
    m.op(fm.CONCAT, pieces[::-1], y, fm.concat_options(axis))
    data = lcg(5, ex.count(shape))
    slices = [[slice(i * part[axis], (i + 1) * part[axis]) if d == axis else slice(None) for d in range(len(shape))] for i in range(parts)]
    return m.bytes([x], [y]), ex.concat([(part, ex.strided(shape, data, q)) for q in slices[::-1]], axis)[1]


def resize(code, formula):
    def case(r):
        m, shape = fm.Model(), image(r)
        size = [r.randint(1, 12), r.randint(1, 12)]
        align, half = r.choice([(False, False), (True, False), (False, True)])
        s, z = scale(r), zero(r)
        x, y = m.tensor(shape, s, z), m.tensor([1, *size, shape[3]], s, z)
        m.op(code, [x, m.ints(size)], y, fm.resize_options(code, align, half))
        return m.bytes([x], [y]), formula(shape, lcg(5, ex.count(shape)), size, align, half)
    return case


def dense_channels(r):
    """FULLY_CONNECTED with a scale for each output."""
    from exactnet import clamp, multiplier, scaled
    n, out = r.randint(1, 40), r.randint(2, 9)
    sx, zx, so, zo, act = scale(r), zero(r), scale(r, -6, 3), zero(r), r.choice([0, 1, 3])
    sw, w, bias = [scale(r, -9, -2) for _ in range(out)], values(r, n * out), [r.randint(-20000, 20000) for _ in range(out)]
    m = fm.Model()
    x, y = m.tensor([1, n], sx, zx), m.tensor([1, out], so, zo)
    m.op(fm.DENSE, [x, m.tensor([out, n], sw, 0, w), m.tensor([out], [fm.f32(sx * s) for s in sw], 0, bias, fm.I32)], y, fm.activation_options(act))
    data = lcg(5, n)
    want = [clamp(scaled(bias[o] + sum((data[i] - zx) * w[o * n + i] for i in range(n)), multiplier(sx * sw[o] / so)) + zo, bounds(act, so, zo)) for o in range(out)]
    return m.bytes([x], [y]), want


def all_operators():
    """One network in which every operator occurs; the bytes of its model."""
    r, m = random.Random(4), fm.Model()
    x = m.tensor([1, 8, 6, 4], 0.03, 5)

    def node(code, inputs, shape, options=None, s=None, z=None, of=None):
        s, z = m.quantization[of] if of is not None else (s or fm.f32(0.05 + 0.01 * len(m.ops)), len(m.ops) - 9 if z is None else z)
        out = m.tensor(shape, s, z)
        m.op(code, inputs, out, options)
        return out

    def weights(shape, axis, channels, of):
        scales = [scale(r, -9, -5) for _ in range(channels)]
        bias = [fm.f32(m.quantization[of][0] * s) for s in scales]
        return m.tensor(shape, scales, 0, values(r, ex.count(shape)), axis=axis), m.tensor([channels], bias, 0, [r.randint(-900, 900) for _ in range(channels)], fm.I32)
    t = node(fm.CONV, [x, *weights([6, 3, 3, 4], 0, 6, x)], [1, 8, 6, 6], fm.conv_options((1, 1), True, fm.RELU_FUSED))
    a = node(fm.RELU, [t], [1, 8, 6, 6])
    t = node(fm.LEAKY_RELU, [a], [1, 8, 6, 6], fm.float_options(0.2))
    t = node(fm.ADD, [a, t], [1, 8, 6, 6], fm.activation_options(0))
    t = node(fm.PADV2, [t, m.ints([0, 0, 1, 0, 2, 1, 0, 0], [4, 2]), m.tensor([], *m.quantization[t], [77])], [1, 9, 9, 6], of=t)
    t = node(fm.DEPTHWISE, [t, *weights([1, 3, 2, 12], 3, 12, t)], [1, 7, 8, 12], fm.depthwise_options((1, 1), False, 2, fm.RELU6_FUSED))
    t = node(fm.MAX_POOL, [t], [1, 4, 4, 12], fm.pool_options((2, 2), True, (3, 2)), of=t)
    parts = [m.tensor([1, 4, 4, 4], *m.quantization[t]) for _ in range(3)]
    m.op(fm.SPLIT, [m.ints([3], []), t], parts, fm.split_options(3))
    t = node(fm.CONCAT, [parts[2], parts[0], m.tensor([1, 1, 4, 4], *m.quantization[t], values(r, 16)), parts[1]], [1, 13, 4, 4], fm.concat_options(1), of=t)
    t = node(fm.TRANSPOSE, [t, m.ints([0, 2, 1, 3])], [1, 4, 13, 4], of=t)
    t = node(fm.STRIDED_SLICE, [t, m.ints([0, -1, 1, 0]), m.ints([1, 0, 12, 4]), m.ints([1, -1, 3, 1])], [1, 3, 4, 4], fm.slice_options(), of=t)
    t = node(fm.RESIZE_BILINEAR, [t, m.ints([5, 7])], [1, 5, 7, 4], fm.resize_options(fm.RESIZE_BILINEAR, False, True), of=t)
    t = node(fm.RESIZE_NEAREST, [t, m.ints([4, 9])], [1, 4, 9, 4], fm.resize_options(fm.RESIZE_NEAREST, True, False), of=t)
    t = node(fm.SUB, [t, m.tensor([1, 4, 1, 4], 0.07, 2, values(r, 16))], [1, 4, 9, 4], fm.activation_options(0))
    t = node(fm.MUL, [m.tensor([4], 0.02, -3, values(r, 4)), t], [1, 4, 9, 4], fm.activation_options(0))
    t = node(fm.MUL, [t, m.tensor([], 0.01, 0, [99])], [1, 4, 9, 4], fm.activation_options(0))
    t = node(fm.AVERAGE_POOL, [t], [1, 2, 8, 4], fm.pool_options((2, 1), False, (2, 2)), of=t)
    t = node(fm.RELU6, [t], [1, 2, 8, 4], of=t)
    t = node(fm.QUANTIZE, [t], [1, 2, 8, 4])
    t = node(fm.LOGISTIC, [t], [1, 2, 8, 4], s=1 / 256, z=-128)
    t = node(fm.MEAN, [t, m.ints([1])], [1, 8, 4], fm.mean_options(False))
    t = node(fm.SQUEEZE, [node(fm.EXPAND_DIMS, [t, m.ints([1], [])], [1, 1, 8, 4], of=t)], [8, 4], of=t)
    t = node(fm.RESHAPE, [t, m.ints([1, 32])], [1, 32], of=t)
    t = node(fm.DENSE, [t, *weights([9, 32], 0, 9, t)], [1, 9], fm.activation_options(0), s=0.05)
    t = node(fm.TANH, [t], [1, 9], s=1 / 128, z=0)
    t = node(fm.SOFTMAX, [t], [1, 9], fm.float_options(3.0), s=1 / 256, z=-128)
    return m.bytes([x], [t])


CASES = {"add": binary("add"), "sub": binary("sub"), "mul": binary("mul"), "relu": unary("relu"), "relu6": unary("relu6"), "leaky": unary("leaky"),
         "logistic": unary("logistic"), "tanh": unary("tanh"), "quantize": unary("quantize"), "mean": mean, "pad": pad, "concatenation": concat, "reshape": reshape,
         "transpose": transpose, "strided slice": strided_slice, "split": split, "resize nearest": resize(fm.RESIZE_NEAREST, ex.nearest),
         "resize bilinear": resize(fm.RESIZE_BILINEAR, ex.bilinear), "dense with channels": dense_channels}


def cases(name, seed, n):
    """The first n models of that name: the same for the same seed."""
    r = random.Random(f"{name} {seed}")
    return [CASES[name](r) for _ in range(n)]
