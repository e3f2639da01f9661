#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a board's header and linker script say against its catalogue entry and the wire protocol's shared header: the host and the device must not
disagree about memory, clock, baud rate, marker pins or stage codes. TAP."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fw_dialogue import Tap  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOARD = "nucleo-h7a3zi-q"
# RM0455 2.3.2, STM32H7A3xI: what the chip has, whatever our files say
CHIP = {"flash": (0x08000000, 0x200000), "dtcm": (0x20000000, 0x20000), "axisram": (0x24000000, 0x100000)}
# the measurement rules' stage codes
STAGES = {"IDLE": 0, "INIT": 1, "INPUT": 3, "INFERENCE": 2, "OUTPUT": 6, "POST": 4}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def macros(text):
    return dict(re.findall(r"^#define (\w+) (\S+)", text, re.M))


def main():
    t = Tap()
    yaml = read("config", "boards", BOARD + ".yaml")
    board = macros(read("firmware", "boards", BOARD, "board.h"))
    regions = {n: (int(a, 0), int(s, 0)) for n, a, s in re.findall(r"\{name: (\w+), start: (\w+), size: (\w+)", yaml)}
    link = {n.lower(): (int(a, 0), int(s) * 1024)
            for n, a, s in re.findall(r"(\w+) \(\w+\)\s*: ORIGIN = (\w+), LENGTH = (\d+)K", read("firmware", "boards", BOARD, "link.ld"))}
    for name, want in CHIP.items():
        t.ok(regions.get(name) == want, f"catalogue: region {name}", regions.get(name))
        t.ok(link.get(name) == want, f"linker script: region {name}", link.get(name))
    t.ok(set(link) == set(CHIP), "linker script: no other region", set(link))
    first, lines = int(board["BOARD_MARKER_PIN0"][:-1]), int(board["BOARD_MARKER_LINES"][:-1])
    pins = ", ".join(f"PE{first + k}" for k in range(lines))
    t.ok(lines == 5 and f"are {pins} " in yaml, "marker pins agree", pins)
    t.ok(f"{int(board['BOARD_CORE_HZ'][:-1]) // 1000000} MHz" in yaml, "core clock agrees", board["BOARD_CORE_HZ"])
    t.ok(f"{board['BOARD_UART_BAUD'][:-1]} baud" in yaml, "baud rate agrees", board["BOARD_UART_BAUD"])
    device = macros(read("firmware", "include", "jf_device.h"))
    for name, code in STAGES.items():
        t.ok(device.get(f"JF_STAGE_{name}") == str(code), f"stage code {name.lower()}", device.get(f"JF_STAGE_{name}"))
    t.end()


main()
