#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What jf-model emits, compiled for the host (with sanitizers), for Cortex-M4 and for Cortex-M7 under qemu-system-arm: checksums of all node outputs
and of the last against the published ones for three inputs, the embedded self-test, instructions per multiply-accumulate, sections. TAP."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests/replay")
sys.path.insert(0, HERE)
import operator_cases  # noqa: E402

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
NS_PER_TICK = 40  # the machines' 25 MHz; with -icount shift=0 an instruction is one ns
INSTRUCTIONS_PER_MAC = 6.0  # naive loops take 11 (measured for ResNet-8 on a Cortex-M4); these kernels 3.3 to 5.6


class Tap:
    n = bad = 0

    def ok(self, good, name, detail=""):
        Tap.n += 1
        Tap.bad += not good
        print(f"{'ok' if good else 'not ok'} {Tap.n} - {name}" + ("" if good else f"\n# {str(detail)[:1500]}"), flush=True)


def call(*argv, timeout=120):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=ROOT)
    return p.returncode, p.stdout.decode("utf-8", "replace")


def compile_to(folder, name, compiler, out, *extra):
    return call(*compiler, *WARN, "-ffreestanding" if "arm" in compiler[0] else "-fhosted", "-I.", f"-I{folder}", f"-DMODEL=jfm_{name}",
                f"{HERE}/model_main.c", f"{folder}/jfm_{name}.c", *sorted(glob.glob(f"{ROOT}/firmware/runtime/*.c")), "-o", out, *extra)


def parse(text):
    """[[all, last, consistent, ticks]...], or None when the image did not end well."""
    lines = text.splitlines()
    rows = [line.split() for line in lines[:3]]
    return rows if len(lines) == 4 and lines[3] == "self-test good" and all(len(r) == 4 for r in rows) else None


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


def board(t, folder, name, numerics, want, macs, machine, cpu):
    elf = f"{folder}/{name}-{cpu}.elf"
    code, text = compile_to(folder, name, ["arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=soft", "-std=c99", "-O3", "-DBARE", "-nostartfiles"], elf,
                            f"-Wl,-T,{HERE}/model_image.ld", "-Wl,--gc-sections")
    t.ok(code == 0, f"{name} {numerics} {cpu}: links without libc", text)
    if code:
        return
    code, text = call("qemu-system-arm", "-M", machine, "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0",
                      "-semihosting-config", "enable=on,target=native", "-kernel", elf)
    t.ok(equal(text, want), f"{name} {numerics} {cpu}: under qemu: published checksums", text)
    if numerics == "tflm" and macs and parse(text):
        per_mac = int(parse(text)[0][3], 16) * NS_PER_TICK / macs
        t.ok(0.5 < per_mac <= INSTRUCTIONS_PER_MAC, f"{name} {cpu}: {per_mac:.2f} instructions per multiply-accumulate, at most {INSTRUCTIONS_PER_MAC:.0f}", per_mac)


def every_operator(t, top, missing):
    """One network of all operators: what is emitted gives the checksums of the run on the host, whose operators test_operators_exact.py proves."""
    model = f"{top}/all.tflite"
    with open(model, "wb") as f:
        f.write(operator_cases.all_operators())
    for numerics in ("tflm", "litert"):
        folder = f"{top}/all-{numerics}"
        os.mkdir(folder)
        code, text = call(f"{ROOT}/build/jf-model", "emit", model, "--name", "all", "--out", folder, "--numerics", numerics)
        want = tuple(call(f"{ROOT}/build/jf-model", "run", model, "--crc", "--input", f"lcg:{seed}", "--numerics", numerics)[1].strip() for seed in (1, 2, 3))
        t.ok(code == 0 and len(set(want)) == 3, f"every operator, {numerics}: emitted", text)
        host(t, folder, "all", numerics, want)
        if not missing:
            board(t, folder, "all", numerics, want, None, "mps2-an386", "cortex-m4")


def sections(t, folder, name):
    obj = f"{folder}/{name}.o"
    code, text = call("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-std=c99", "-O3", "-I.", f"-I{folder}", "-c", f"{folder}/jfm_{name}.c", "-o", obj)
    sizes = dict(line.split()[:2] for line in call("arm-none-eabi-size", "-A", obj)[1].splitlines() if line.startswith("."))
    model = os.path.getsize(f"{ROOT}/firmware/models/{MODELS[name][0]}.tflite")
    data, constants = int(sizes.get(".data", 0)), int(sizes.get(".rodata", 0))
    t.ok(code == 0 and data == 0 and 0 < constants < model, f"{name}: tables stay in flash ({constants} bytes of .rodata, {data} of .data)", (text, sizes))


def main():
    t = Tap()
    missing = [x for x in ("arm-none-eabi-gcc", "qemu-system-arm") if not shutil.which(x)]
    with tempfile.TemporaryDirectory() as top:
        every_operator(t, top, missing)
        for name, (file, macs, goldens) in MODELS.items():
            for numerics, want in goldens.items():
                folder = f"{top}/{name}-{numerics}"
                os.mkdir(folder)
                code, text = call(f"{ROOT}/build/jf-model", "emit", f"firmware/models/{file}.tflite", "--name", name, "--out", folder, "--numerics", numerics)
                t.ok(code == 0 and sorted(os.listdir(folder)) == [f"jfm_{name}.c", f"jfm_{name}.h"], f"{name} {numerics}: emitted, two files", text)
                host(t, folder, name, numerics, want)
                if missing:
                    Tap.n += 1
                    print(f"ok {Tap.n} - {name} {numerics}: qemu # SKIP {', '.join(missing)} not installed")
                    continue
                board(t, folder, name, numerics, want, macs, "mps2-an386", "cortex-m4")
                if numerics == "tflm":
                    board(t, folder, name, numerics, want, macs, "mps2-an500", "cortex-m7")
                    sections(t, folder, name)
    print(f"1..{Tap.n}")
    sys.exit(1 if Tap.bad else 0)


main()
