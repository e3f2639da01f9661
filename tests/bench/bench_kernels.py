# SPDX-License-Identifier: GPL-2.0-or-later
"""What the compiler's firmware costs: instructions, code, memory, compile time. Instructions are counted by qemu: with `-icount shift=0` each takes 1 ns of
the machine's time, which the self-test image (firmware/boards/qemu/selftest.c) reads from SysTick (25 MHz: to 40 instructions) around every node and around a
whole inference; on RISC-V from minstret. Instructions are not cycles: no flash wait states, no load latency."""
import glob
import json
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JF_MODEL = os.path.join(ROOT, "build", "jf-model")
FILES = {"ad01": "ad01_int8", "kws01": "kws_ref_model", "ic01": "pretrainedResnet_quant", "vww01": "vww_96_int8"}
BOARDS = {"m3": "qemu-mps2-an385", "m4": "qemu-mps2-an386", "m33": "qemu-mps2-an505", "m55": "qemu-mps3-an547", "rv32": "qemu-virt-rv32"}
# CMSIS-NN 99f736a6 (DSP path, Cortex-M4, gcc 12.2 -O3) in the place of our kernels: same models, machine and count (docs/performance.md)
CMSIS_NN = {"ad01": 579720, "kws01": 7684880, "ic01": 29727600, "vww01": 24236120}
CMSIS_NN_CONVOLUTIONS = 27430160
TFLM_ARENA = {"ad01": 3424, "kws01": 24000, "ic01": 55712, "vww01": 103392}  # arena used by TensorFlow Lite for Microcontrollers, 64-bit host
SECTIONS = {"dsp": ("cortex-m4", "soft", "jf_dsp*.c"), "mve": ("cortex-m55", "hard", "jf_mve*.c"), "portable": ("cortex-m3", "soft", "jf_[!dm]*.c")}


def out(*argv, timeout=120):
    return subprocess.run(argv, cwd=ROOT, check=True, timeout=timeout, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


def image(directory, board, model):
    """(what jf-model says, [instructions of each node], of a whole inference)"""
    elf = os.path.join(directory, "image.elf")
    said = json.loads(out(JF_MODEL, "firmware", f"firmware/models/{FILES[model]}.tflite", "--board", board, "--name", model, "--out", elf, "--json"))
    with open(f"{ROOT}/firmware/boards/{board}/build.conf", encoding="utf-8") as f:
        run = next(line.split()[1:] for line in f if line.startswith("run "))
    rows = [line.split() for line in out(*run, elf).splitlines()]
    if rows[-1] != ["self-test", "good"]:
        raise RuntimeError(f"{model} on {board}: {rows[-1]}")
    return said, [int(r[3]) for r in rows if r[0] == "node"], next(int(r[1]) for r in rows if r[0] == "run")


def convolutions(model):
    nodes = json.loads(out(JF_MODEL, "dump", f"firmware/models/{FILES[model]}.tflite", "--json"))["nodes"]
    return [i for i, n in enumerate(nodes) if n["op"] == "CONV_2D"]


def kernels(fig, directory, _args):
    for isa, board in BOARDS.items():
        for model in FILES:
            said, nodes, whole = image(directory, board, model)
            peer, value = ("CMSIS-NN on a Cortex-M4, in our kernels' place", CMSIS_NN[model]) if isa != "rv32" else ("the same on a Cortex-M3", fig.rows[f"instructions_m3_{model}"]["value"])
            fig.put(f"instructions_{isa}_{model}", float(whole), "", peer, float(value))
            if isa == "m4" and model == "ic01":
                fig.put("instructions_m4_ic01_convolutions", float(sum(nodes[i] for i in convolutions(model))), "", "CMSIS-NN, the same nine convolutions", float(CMSIS_NN_CONVOLUTIONS))
            if isa == "m4":
                fig.put(f"arena_{model}", float(said["arena_bytes"]), "B", "TFLM's arena (64-bit host)", float(TFLM_ARENA[model]))
                fig.put(f"flash_m4_{model}", float(said["flash_bytes"]), "B", "the .tflite file", float(os.path.getsize(f"{ROOT}/firmware/models/{FILES[model]}.tflite")))
    for kernel, (cpu, abi, pattern) in SECTIONS.items():
        objects = []
        for source in sorted(glob.glob(f"{ROOT}/firmware/runtime/{pattern}")):
            objects.append(os.path.join(directory, os.path.basename(source) + ".o"))
            out("arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", f"-mfloat-abi={abi}", "-std=c17", "-O3", "-I.", "-c", source, "-o", objects[-1])
        text = sum(int(line.split()[0]) for line in out("arm-none-eabi-size", *objects).splitlines()[1:])
        fig.put(f"code_{kernel}", float(text), "B", "CMSIS-NN's functions for convolutions alone", 7600.0)
    for model, name in FILES.items():
        began = time.monotonic()
        out(JF_MODEL, "emit", f"firmware/models/{name}.tflite", "--name", model, "--out", directory, "--kernels", "dsp")
        fig.put(f"emit_{model}", time.monotonic() - began, "s", "limit", 1.0)


NAMES = ([f"instructions_{isa}_{model}" for isa in BOARDS for model in FILES] + ["instructions_m4_ic01_convolutions"] +
         [f"{what}_{model}" for what in ("arena", "flash_m4", "emit") for model in FILES] + [f"code_{k}" for k in SECTIONS])
