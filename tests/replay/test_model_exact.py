#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-model run on small random models of one operator each, against exact rational arithmetic; and the refusals of bad models. TAP."""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exactnet as net  # noqa: E402
import tflite_writer as fm  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = f"{ROOT}/build/jf-model"
SEED = 20261121


def run(path, args=("run", "--json", "--input", "lcg:5")):
    p = subprocess.run([TOOL, args[0], path, *args[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def i8s(r, n):
    return [r.randint(-127, 127) for _ in range(n)]


def scale(r, lo=-9, hi=0):
    return fm.f32(2.0 ** r.uniform(lo, hi))


def geometry(r):
    while True:
        c = {"in": (r.randint(1, 9), r.randint(1, 9), r.randint(1, 5)), "k": (r.randint(1, 4), r.randint(1, 4)),
             "stride": (r.randint(1, 3), r.randint(1, 3)), "dil": r.choice([(1, 1), (1, 1), (2, 1), (1, 2), (2, 2)]), "same": r.random() < 0.6}
        if c["same"] or all(c["in"][d] >= (c["k"][d] - 1) * c["dil"][d] + 1 for d in (0, 1)):
            return c


def out_hw(c, dil):
    return [net.window(c["in"][d], c["k"][d], c["stride"][d], dil[d], c["same"])[0] for d in (0, 1)]


def conv_case(r, deep):
    c = geometry(r)
    c.update(mult=r.randint(1, 3), sx=scale(r), zx=r.randint(-128, 127), so=scale(r, -6, 3), zo=r.randint(-128, 127), act=r.choice([0, 1, 3]))
    c["out_c"] = c["in"][2] * c["mult"] if deep else r.randint(1, 6)
    c["sw"] = [fm.f32(1e-13) if r.random() < 0.1 else scale(r, -9, -2) for _ in range(c["out_c"])]
    shape = [1, *c["k"], c["out_c"]] if deep else [c["out_c"], *c["k"], c["in"][2]]
    w = i8s(r, shape[0] * shape[1] * shape[2] * shape[3])
    bias = [r.randint(-20000, 20000) for _ in range(c["out_c"])]
    m = fm.Model()
    x = m.tensor([1, *c["in"]], c["sx"], c["zx"])
    wt = m.tensor(shape, c["sw"], 0, w, axis=3 if deep else 0)
    b = m.tensor([c["out_c"]], [fm.f32(c["sx"] * s) for s in c["sw"]], 0, bias, fm.I32)
    y = m.tensor([1, *out_hw(c, c["dil"]), c["out_c"]], c["so"], c["zo"])
    common = {0: ("b", 0 if c["same"] else 1), 1: ("i", c["stride"][1]), 2: ("i", c["stride"][0])}
    if deep:
        m.op(fm.DEPTHWISE, [x, wt, b], y, {**common, 3: ("i", c["mult"]), 4: ("b", c["act"]), 5: ("i", c["dil"][1]), 6: ("i", c["dil"][0])})
    else:
        m.op(fm.CONV, [x, wt, b], y, {**common, 3: ("b", c["act"]), 4: ("i", c["dil"][1]), 5: ("i", c["dil"][0])})
    data = net.lcg(5, c["in"][0] * c["in"][1] * c["in"][2])
    return m.bytes([x], [y]), (net.depthwise if deep else net.conv)(data, w, bias, c)


def dense_case(r):
    ties = r.random() < 0.4  # scales that are powers of two: both roundings meet exact halves
    s = (lambda lo, hi: 2.0 ** r.randint(lo, hi)) if ties else (lambda lo, hi: scale(r, lo, hi))
    c = {"in_n": r.randint(1, 70), "out_n": r.randint(1, 12), "sx": s(-5, -1), "sw": s(-7, -4), "so": s(-6, 3), "zx": r.randint(-128, 127),
         "zo": r.randint(-128, 127), "act": r.choice([0, 1, 3])}
    w, bias = i8s(r, c["in_n"] * c["out_n"]), [r.randint(-20000, 20000) for _ in range(c["out_n"])]
    if ties:  # small enough not to saturate
        c.update(in_n=3, act=0, so=c["sx"] * c["sw"] * 2.0 ** r.randint(1, 4))
        w, bias = [r.randint(-2, 2) for _ in range(3 * c["out_n"])], [r.randint(-200, 200) for _ in range(c["out_n"])]
    m = fm.Model()
    x = m.tensor([1, c["in_n"]], c["sx"], c["zx"])
    wt = m.tensor([c["out_n"], c["in_n"]], c["sw"], 0, w)
    b = m.tensor([c["out_n"]], fm.f32(c["sx"] * c["sw"]), 0, bias, fm.I32)
    y = m.tensor([1, c["out_n"]], c["so"], c["zo"])
    m.op(fm.DENSE, [x, wt, b], y, {0: ("b", c["act"])})
    return m.bytes([x], [y]), net.dense(net.lcg(5, c["in_n"]), w, bias, c, fm.f32)


def add_case(r):
    """x + dense(x), so that the two operands differ in values, scale and zero point."""
    n = r.randint(1, 60)
    c = {"sx": scale(r), "sy": scale(r), "so": scale(r, -8, 1), "zx": r.randint(-128, 127), "zy": r.randint(-128, 127), "zo": r.randint(-128, 127),
         "act": r.choice([0, 1, 3])}
    d = {"in_n": n, "out_n": n, "sx": c["sx"], "sw": scale(r), "so": c["sy"], "zx": c["zx"], "zo": c["zy"], "act": 0}
    w = i8s(r, n * n)
    m = fm.Model()
    x = m.tensor([1, n], c["sx"], c["zx"])
    wt = m.tensor([n, n], d["sw"], 0, w)
    y = m.tensor([1, n], c["sy"], c["zy"])
    z = m.tensor([1, n], c["so"], c["zo"])
    m.op(fm.DENSE, [x, wt, -1], y, {0: ("b", 0)})
    m.op(fm.ADD, [x, y], z, {0: ("b", c["act"])})
    data = net.lcg(5, n)
    return m.bytes([x], [z]), net.add(data, net.dense(data, w, [0] * n, d, fm.f32), c)


def pool_case(r, largest):
    c = geometry(r)
    c.update(dil=(1, 1), sx=scale(r), zx=r.randint(-128, 127), act=r.choice([0, 1, 3]), max=largest)
    if not c["same"] and any(c["in"][d] < c["k"][d] for d in (0, 1)):
        c["same"] = True
    m = fm.Model()
    x = m.tensor([1, *c["in"]], c["sx"], c["zx"])
    y = m.tensor([1, *out_hw(c, (1, 1)), c["in"][2]], c["sx"], c["zx"])
    m.op(fm.MAX_POOL if largest else fm.AVERAGE_POOL, [x], y, {0: ("b", 0 if c["same"] else 1), 1: ("i", c["stride"][1]), 2: ("i", c["stride"][0]),
                                                             3: ("i", c["k"][1]), 4: ("i", c["k"][0]), 5: ("b", c["act"])})
    return m.bytes([x], [y]), net.pool(net.lcg(5, c["in"][0] * c["in"][1] * c["in"][2]), c)


def softmax_case(r, n=None, s=None):
    n, s = n or r.randint(1, 40), s or scale(r, -8, 0)
    m = fm.Model()
    x = m.tensor([1, n], s, r.randint(-128, 127))
    y = m.tensor([1, n], fm.f32(1 / 256), -128)
    m.op(fm.SOFTMAX, [x], y, {0: ("f", 1.0)})
    return m.bytes([x], [y]), net.softmax(net.lcg(5, n), n, s, 1.0)


def aliasing_model():
    """a = dense(x); r = reshape(a); s = a + r (may not overwrite a: r lives on); z = s + r."""
    r = random.Random(SEED)
    n = 12
    w = i8s(r, n * n)
    d = {"in_n": n, "out_n": n, "sx": 0.5, "sw": fm.f32(0.01), "so": 0.25, "zx": 3, "zo": -7, "act": 0}
    a1 = {"sx": 0.25, "sy": 0.25, "so": 0.5, "zx": -7, "zy": -7, "zo": 2, "act": 0}
    a2 = {"sx": 0.5, "sy": 0.25, "so": 0.75, "zx": 2, "zy": -7, "zo": 0, "act": 0}
    m = fm.Model()
    x = m.tensor([1, n], d["sx"], d["zx"])
    wt = m.tensor([n, n], d["sw"], 0, w)
    a, v, s, z = (m.tensor([1, n], sc, ze) for sc, ze in ((0.25, -7), (0.25, -7), (0.5, 2), (0.75, 0)))
    m.op(fm.DENSE, [x, wt, -1], a, {0: ("b", 0)})
    m.op(fm.RESHAPE, [a], v, {})
    m.op(fm.ADD, [a, a], s, {0: ("b", 0)})
    m.op(fm.ADD, [s, v], z, {0: ("b", 0)})
    av = net.dense(net.lcg(5, n), w, [0] * n, d, fm.f32)
    return m.bytes([x], [z]), net.add(net.add(av, av, a1), av, a2)


def dense_model(**k):
    """One FULLY_CONNECTED of 4 -> 2, with one thing wrong."""
    m = fm.Model()
    x = m.tensor(k.get("in_shape", [1, 4]), k.get("sx", 0.5), 0, type_=k.get("in_type", fm.I8))
    w = m.tensor([2, 4], k.get("sw", 0.01), k.get("zw", 0), k.get("w", [1] * 8) if k.get("constant", True) else None)
    b = m.tensor([k.get("bias_n", 2)], 0.005, 0, [k.get("bias", 0)] * k.get("bias_n", 2), fm.I32)
    y = m.tensor(k.get("out_shape", [1, 2]), k.get("so", 0.1), k.get("zy", 0))
    m.op(k.get("code", fm.DENSE), [x, w, b] if not k.get("self_input") else [y, w, b], y, {0: ("b", k.get("act", 0))})
    return m.bytes([x], k.get("outputs", [y]))


BAD = [("a float input", {"in_type": fm.F32}, "int8"), ("hybrid weights without scale", {"sw": None}, "node 0 (FULLY_CONNECTED)"), ("scale zero", {"sw": 0.0}, "scale"),
       ("negative scale", {"sx": -0.5}, "scale"), ("weights that are no constant", {"constant": False}, "t1"), ("bias of another length", {"bias_n": 3}, "bias"),
       ("zero point beyond int8", {"zy": 300}, "zero point"), ("output that does not fit", {"out_shape": [1, 3]}, "follows"), ("input that does not fit", {"in_shape": [1, 5]}, "fit"),
       ("negative dimension", {"in_shape": [1, -4]}, "dimension"), ("absurd dimensions", {"in_shape": [2147483647, 2147483647]}, "dimension"),
       ("six dimensions", {"in_shape": [1, 1, 1, 1, 1, 4]}, "dimensions"), ("an unknown operator", {"code": 99}, "operator 99"), ("a fused TANH", {"act": 4}, "activation 4"),
       ("an accumulator that overflows", {"bias": 2147483600, "w": [127] * 8}, "accumulator"), ("a node fed by itself", {"self_input": True}, "before any node makes it"),
       ("an output that nothing makes", {"outputs": [0]}, "no node makes")]


class Tap:
    n = bad = 0

    def ok(self, good, name, detail=""):
        Tap.n += 1
        Tap.bad += not good
        print(f"{'ok' if good else 'not ok'} {Tap.n} - {name}" + ("" if good else f"\n# {str(detail)[:600]}"), flush=True)


def exact(t, folder, name, makers, count):
    r, wrong, values = random.Random(SEED + len(name)), "", 0
    for i in range(count):
        model, want = makers(r)
        path = f"{folder}/{name}.tflite"
        with open(path, "wb") as f:
            f.write(model)
        code, out, err = run(path)
        got = json.loads(out)["output"] if code == 0 else err
        values += len(want)
        if got != want and not wrong:
            wrong = f"case {i}: got {got}, want {want}"
    t.ok(not wrong and values > count, f"{name}: {count} random models, {values} values equal exact arithmetic", wrong)


def multipliers(t, folder):
    """The emitted multiplier and shift of FULLY_CONNECTED: a last bit that outputs alone would hardly ever show."""
    r, wrong, count = random.Random(SEED), "", 60
    for i in range(count):
        sx, sw, so = scale(r), scale(r), scale(r, -6, 3)
        with open(f"{folder}/m.tflite", "wb") as f:
            f.write(dense_model(sx=sx, sw=sw, so=so))
        code, _, err = run(f"{folder}/m.tflite", ("emit", "--name", "m", "--out", folder))
        with open(f"{folder}/jfm_m.c", encoding="ascii") as f:
            text = f.read()
        got = tuple(int(re.search(rf"n0_{what}\[1\][^=]*= {{\s*(-?\d+)", text).group(1)) for what in ("mult", "shift"))
        want = net.multiplier(fm.f32(sx * sw) / so)
        if code or got != want:
            wrong = wrong or f"case {i}: {got}, want {want} {err}"
    t.ok(not wrong, f"{count} emitted multipliers of FULLY_CONNECTED equal exact arithmetic", wrong)


def real_softmax(t, folder):
    r, wrong, off, values = random.Random(SEED), "", 0, 0
    for i in range(60):
        model, want = softmax_case(r) if i < 58 else softmax_case(r, 1000, 1e-4 if i == 58 else 0.01)
        path = f"{folder}/softmax.tflite"
        with open(path, "wb") as f:
            f.write(model)
        for numerics in ("tflm", "litert"):
            code, out, err = run(path, ("run", "--json", "--input", "lcg:5", "--numerics", numerics))
            got = json.loads(out)["output"] if code == 0 else err
            if code != 0 or any(abs(min(w, 255.0) - 128 - g) > 0.51 for w, g in zip(want, got)):
                wrong = wrong or f"case {i} {numerics}: got {got}, want {want}"
            else:
                off += sum(abs(min(w, 255.0) - 128 - g) > 0.5 for w, g in zip(want, got))
                values += len(want)
    t.ok(not wrong, f"softmax: {values} values within 0.51 of the real function, {off} beyond half a step", wrong)


def command_line(t, folder):
    path = f"{folder}/good.tflite"
    with open(path, "wb") as f:
        f.write(dense_model())
    t.ok(run(path)[0] == 0, "the model without a mistake is accepted", run(path))
    for name, k, word in BAD:
        bad = f"{folder}/bad.tflite"
        with open(bad, "wb") as f:
            f.write(dense_model(**k))
        out = f"{folder}/out"
        os.makedirs(out, exist_ok=True)
        code, text, err = run(bad, ("emit", "--name", "x", "--out", out))
        t.ok(code == 1 and word in err and text == "" and not os.listdir(out), f"refused, nothing written: {name}", (code, err, os.listdir(out)))
    for name, args in (("no output folder", ("emit", "--name", "x")), ("a name that is no identifier", ("emit", "--name", "9;x", "--out", folder)),
                       ("an unknown option", ("run", "--frobnicate")), ("an unknown numerics", ("run", "--numerics", "half")),
                       ("an option without its value", ("run", "--input")), ("an unknown command", ("walk",)), ("a seed that is none", ("emit", "--name", "x", "--out", folder, "--golden", "lcg:-1"))):
        code, text, err = run(path, args)
        t.ok(code == 2 and err and text == "", f"usage, status 2: {name}", (code, text, err))
    missing = f"{folder}/nowhere"
    t.ok(run(path, ("emit", "--name", "x", "--out", missing))[0] == 1 and not os.path.exists(missing), "emit into a folder that does not exist")
    code, _, err = run(path, ("run", "--input", TOOL))
    t.ok(code == 1 and "--input" in err, "an input file of another size", err)
    with open(f"{folder}/in", "wb") as f:
        f.write(bytes((v + 256) & 255 for v in net.lcg(7, 4)))
    a, b = run(path, ("run", "--crc", "--input", f"{folder}/in")), run(path, ("run", "--crc", "--input", "lcg:7"))
    t.ok(a == b and a[0] == 0, "the same input from a file and from a seed", (a, b))
    t.ok(run(path, ("dump",)) == run(path, ("dump",)) and "FULLY_CONNECTED" in run(path, ("dump",))[1], "dump is stable")
    t.ok(json.loads(run(path, ("dump", "--json"))[1])["nodes"][0]["op"] == "FULLY_CONNECTED", "dump --json")
    with open("/dev/full", "wb") as full:
        p = subprocess.run([TOOL, "dump", path], stdout=full, stderr=subprocess.PIPE, timeout=20)
    t.ok(p.returncode == 1, "a full disk behind stdout is status 1")


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as folder:
        exact(t, folder, "conv", lambda r: conv_case(r, False), 60)
        exact(t, folder, "depthwise", lambda r: conv_case(r, True), 60)
        exact(t, folder, "dense", dense_case, 60)
        exact(t, folder, "add", add_case, 60)
        exact(t, folder, "average pool", lambda r: pool_case(r, False), 60)
        exact(t, folder, "max pool", lambda r: pool_case(r, True), 60)
        exact(t, folder, "memory shared by RESHAPE and ADD", lambda r: aliasing_model(), 1)
        multipliers(t, folder)
        real_softmax(t, folder)
        command_line(t, folder)
    print(f"1..{Tap.n}")
    sys.exit(1 if Tap.bad else 0)


if __name__ == "__main__":
    main()
