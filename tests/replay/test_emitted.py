#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What jf-model emits, compiled for the host (with sanitizers), and as firmware for Cortex-M3, M4, M7, M33, M55 and RV32 under qemu, each with the kernels
of its instruction set: checksums of all node outputs and of the last against the published ones for three inputs, each node's output against the others',
the embedded self-test, random chains of operators against the host, instructions per multiply-accumulate, sections. TAP."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests/replay")
sys.path.insert(0, HERE)
import chain_models  # noqa: E402
import operator_cases  # noqa: E402

JF_MODEL = os.path.join(ROOT, "build/jf-model")
CC = {"qemu-system-arm": "arm-none-eabi-gcc", "qemu-system-riscv32": "riscv64-unknown-elf-gcc"}
WARN = "-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror".split()
# Checksums (all operators, last) for seeds 1 to 3 and multiply-accumulates: computed with an independent implementation that was compared with
# TensorFlow Lite for Microcontrollers' reference kernels on every layer (tflm), and with tfjs-tflite (litert).
MODELS = {
    "ad01": ("ad01_int8", 264192, {"tflm": ("2310dc75 418fef1d", "25a659de cb05a81f", "ee5684c2 e1ecb846"),
                                  "litert": ("4a0da75f 7c7c7040", "fb0eea24 1a90e9fb", "8d025bf7 75bd9038")}),
    "kws01": ("kws_ref_model", 2656768, {"tflm": ("f380a85b feebd905", "de99fca1 644ce02c", "7e1bf6a3 6ee3d819"),
                                        "litert": ("26dbbc55 fe23008f", "834c3096 89a239ab", "7817c37e 1a9f508d")}),
    "ic01": ("pretrainedResnet_quant", 12501632, {"tflm": ("5c2845bb 6d0c90cb", "52487eab f0ea10b3", "bff66fd4 74f9d306"),
                                                 "litert": ("7599261d c8a6ee84", "675be6fa ee82d6a6", "5bcc5637 058572b1")}),
    "vww01": ("vww_96_int8", 7489664, {"tflm": ("7ee33065 90d2a596", "d80a9758 90d2a596", "96b31324 ccf8c6c3"),
                                      "litert": ("4767e523 90d2a596", "d9adc61f 90d2a596", "e96da621 ccf8c6c3")}),
}
# Board: package that has to be there, numerics, most instructions per multiply-accumulate of a whole tflm model of 2 million or more (naive loops take
# 11, measured for ResNet-8 on a Cortex-M4; CMSIS-NN 2.2 for its convolutions alone).
BOARDS = {
    "qemu-mps2-an385": ("qemu-system-arm", ("tflm",), 6.0),
    "qemu-mps2-an386": ("qemu-system-arm", ("tflm",), 2.3),
    "qemu-mps2-an500-nodes": ("qemu-system-arm", ("tflm",), 2.3),
    "qemu-mps2-an505": ("qemu-system-arm", ("tflm",), 2.3),
    "qemu-mps3-an547": ("qemu-system-arm", ("tflm", "litert"), 1.6),
    "qemu-virt-rv32": ("qemu-system-riscv32", ("tflm",), 8.0),
}
# Instructions on a Cortex-M4 at most (tflm): the nine convolutions of ic01, and whole models at the same ratio to CMSIS-NN's (docs/performance.md has how
# those were counted: 27.5 M for the nine).
CONVOLUTIONS_M4 = 19.0e6
WHOLE_M4 = {name: 19.0 / 27.5 * n for name, n in (("ad01", 579720), ("kws01", 7684880), ("ic01", 29727600), ("vww01", 24236120))}
CHAINS, CHAIN_SEED = 4, 20261121


class Tap:
    n = bad = 0

    def ok(self, good, name, detail=""):
        Tap.n += 1
        Tap.bad += not good
        print(f"{'ok' if good else 'not ok'} {Tap.n} - {name}" + ("" if good else f"\n# {str(detail)[:1500]}"), flush=True)


def call(*argv, timeout=120):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=ROOT)
    return p.returncode, p.stdout.decode("utf-8", "replace")


def compile_to(folder, name, compiler, out):
    return call(*compiler, *WARN, "-I.", f"-I{folder}", f"-DMODEL=jfm_{name}", f"{HERE}/model_main.c", f"{folder}/jfm_{name}.c",
                *sorted(glob.glob(f"{ROOT}/firmware/runtime/*.c")), "-o", out)


def parse(text):
    """[[all, last, consistent]...], or None when the image did not end well."""
    lines = text.splitlines()
    rows = [line.split() for line in lines[:3]]
    return rows if len(lines) == 4 and lines[3] == "self-test good" and all(len(r) == 3 for r in rows) else None


def equal(text, want):
    rows = parse(text)
    return rows is not None and all(f"{r[0]} {r[1]}" == w and int(r[2], 16) == 1 for r, w in zip(rows, want))


def host(t, folder, name, numerics, want):
    exe = f"{folder}/{name}"
    code, text = compile_to(folder, name, ["gcc", "-std=c99", "-pedantic", "-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"], exe)
    t.ok(code == 0, f"{name} {numerics}: strict C99 without a warning", text)
    if code == 0:
        code, text = call(exe)
        t.ok(code == 0 and equal(text, want), f"{name} {numerics}: on the host, sanitized: published checksums", text)


class Image:
    """A self-test image's answers (firmware/boards/qemu/selftest.c)."""

    def __init__(self, folder, board, model, name, numerics):
        with open(f"{ROOT}/firmware/boards/{board}/build.conf", encoding="utf-8") as f:
            run = next(line.split()[1:] for line in f if line.startswith("run "))
        elf = f"{folder}/{name}-{board}.elf"
        code, text = call(JF_MODEL, "firmware", model, "--board", board, "--name", name, "--numerics", numerics, "--out", elf, "--strict")
        self.text = text
        if code == 0:
            _, self.text = call(*run, elf)
            os.unlink(elf)
        rows = [line.split() for line in self.text.splitlines()]
        self.nodes = [(r[1], r[2]) for r in rows if r[:1] == ["node"] and len(r) == 4]
        self.of_nodes = [int(r[3]) for r in rows if r[:1] == ["node"] and len(r) == 4]
        self.seeds = [f"{r[2]} {r[3]}" for r in rows if r[:1] == ["seed"] and len(r) == 4]
        self.instructions = [int(r[1]) for r in rows if r[:1] == ["run"] and len(r) == 3]
        self.good = rows[-1:] == [["self-test", "good"]]


def boards(t, folder, name, model, numerics, want, macs, everywhere=False):
    nodes = {}
    for board, (tool, both, most) in BOARDS.items():
        if numerics not in both and not everywhere:
            continue
        if not (shutil.which(tool) and shutil.which(CC[tool])):
            Tap.n += 1
            print(f"ok {Tap.n} - {name} {numerics}: {board} # SKIP {tool} or {CC[tool]} not installed")
            continue
        i = Image(folder, board, model, name, numerics)
        t.ok(i.good and tuple(i.seeds) == want, f"{name} {numerics} {board}: published checksums", i.text)
        nodes[board] = i.nodes
        if board == "qemu-mps2-an386" and numerics == "tflm" and name in WHOLE_M4 and i.instructions:
            t.ok(0.1 * macs < i.instructions[0] <= WHOLE_M4[name], f"{name} on a Cortex-M4: {i.instructions[0]} instructions, at most {WHOLE_M4[name]:.0f}", i.text[-300:])
            if name == "ic01":
                lines = [n for n in call(JF_MODEL, "dump", model)[1].splitlines() if n.startswith("node ")]
                convolutions = [k for n, k in zip(lines, i.of_nodes) if " CONV_2D " in n]
                t.ok(len(convolutions) == 9 and len(lines) == len(i.of_nodes) and 1e6 < sum(convolutions) <= CONVOLUTIONS_M4,
                     f"ic01's nine convolutions on a Cortex-M4: {sum(convolutions)} instructions, at most {CONVOLUTIONS_M4:.0f}", convolutions)
        if numerics == "tflm" and macs and macs > 2e6 and i.instructions:
            per_mac = i.instructions[0] / macs
            t.ok(0.1 < per_mac <= most, f"{name} {board}: {per_mac:.2f} instructions per multiply-accumulate, at most {most}", per_mac)
    distinct = {tuple(n) for n in nodes.values()}
    t.ok(len(distinct) == 1 and all(distinct) or not nodes, f"{name} {numerics}: every node's output is the same on {len(nodes)} boards", nodes)


def chains(t, folder):
    """Models that fill no block of the packed kernels, against the portable kernels on the host (which exact arithmetic has judged)."""
    for board in ("qemu-mps2-an386", "qemu-mps3-an547"):
        if not (shutil.which("qemu-system-arm") and shutil.which(CC["qemu-system-arm"])):
            continue
        for k in range(CHAINS):
            path = f"{folder}/chain.tflite"
            with open(path, "wb") as f:
                f.write(chain_models.model(CHAIN_SEED + k))
            want = [call(JF_MODEL, "run", path, "--crc", "--input", f"lcg:{seed}")[1].strip() for seed in (1, 2, 3)]
            i = Image(folder, board, path, "chain", "tflm")
            t.ok(i.good and i.seeds == want, f"chain {k} {board}: as on the host", (want, i.text))


def freestanding(t, top):
    """No allocation, no stdio, no mathematics: of libc only what a compiler itself calls, beside its own arithmetic."""
    cc = CC["qemu-system-arm"]
    if not shutil.which(cc):
        return
    objects, texts = [], ""
    for source in sorted(glob.glob(f"{ROOT}/firmware/runtime/*.c")) + [f"{top}/all-{n}/jfm_all.c" for n in ("tflm", "litert")]:
        objects.append(f"{top}/{len(objects)}.o")
        texts += call(cc, "-mcpu=cortex-m7", "-std=c99", "-O1", "-I.", f"-I{os.path.dirname(source)}", "-c", source, "-o", objects[-1])[1]
    rows = [line.split() for line in call("arm-none-eabi-nm", *objects)[1].splitlines()]
    made = {r[2] for r in rows if len(r) == 3}
    wanted = {r[1] for r in rows if len(r) == 2 and r[0] == "U"} - made - {"memcpy", "memset", "memmove"}
    foreign = sorted(w for w in wanted if not w.startswith("__aeabi_"))
    t.ok(not foreign and wanted and "jfk_conv2d" in made, "runtime and emitted C call nothing of libc but memcpy, memset, memmove", (foreign, texts))


def every_operator(t, top):
    """One network of all operators: what is emitted gives the checksums of the run on the host, whose operators test_operators_exact.py proves."""
    model = f"{top}/all.tflite"
    with open(model, "wb") as f:
        f.write(operator_cases.all_operators())
    for numerics in ("tflm", "litert"):
        folder = f"{top}/all-{numerics}"
        os.mkdir(folder)
        code, text = call(JF_MODEL, "emit", model, "--name", "all", "--out", folder, "--numerics", numerics)
        want = tuple(call(JF_MODEL, "run", model, "--crc", "--input", f"lcg:{seed}", "--numerics", numerics)[1].strip() for seed in (1, 2, 3))
        t.ok(code == 0 and len(set(want)) == 3, f"every operator, {numerics}: emitted", text)
        host(t, folder, "all", numerics, want)
        boards(t, folder, "all", model, numerics, want, None, everywhere=True)
    freestanding(t, top)


def sections(t, folder, name):
    obj = f"{folder}/{name}.o"
    code, text = call("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-std=c99", "-O3", "-I.", f"-I{folder}", "-c", f"{folder}/jfm_{name}.c", "-o", obj)
    sizes = dict(line.split()[:2] for line in call("arm-none-eabi-size", "-A", obj)[1].splitlines() if line.startswith("."))
    model = os.path.getsize(f"{ROOT}/firmware/models/{MODELS[name][0]}.tflite")
    data, constants = int(sizes.get(".data", 0)), int(sizes.get(".rodata", 0))
    t.ok(code == 0 and data == 0 and 0 < constants < model, f"{name}: tables stay in flash ({constants} bytes of .rodata, {data} of .data)", (text, sizes))


def main():
    t = Tap()
    with tempfile.TemporaryDirectory() as top:
        every_operator(t, top)
        for name, (file, macs, goldens) in MODELS.items():
            for numerics, want in goldens.items():
                folder = f"{top}/{name}-{numerics}"
                os.mkdir(folder)
                code, text = call(JF_MODEL, "emit", f"firmware/models/{file}.tflite", "--name", name, "--out", folder, "--numerics", numerics)
                t.ok(code == 0 and sorted(os.listdir(folder)) == [f"jfm_{name}.c", f"jfm_{name}.h"], f"{name} {numerics}: emitted, two files", text)
                host(t, folder, name, numerics, want)
                boards(t, folder, name, f"firmware/models/{file}.tflite", numerics, want, macs, everywhere=name == "kws01")
                if numerics == "tflm" and shutil.which(CC["qemu-system-arm"]):
                    sections(t, folder, name)
        chains(t, top)
    print(f"1..{Tap.n}")
    sys.exit(1 if Tap.bad else 0)


main()
