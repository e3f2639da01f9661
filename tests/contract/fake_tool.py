#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""jf-trace and jf-model without their work, for tests of the daemon alone. What jf-trace does is asked of the override glitch_s, what
jf-model does of the model's own bytes ("TFL3 do:WORD ..."): see DEEDS. --print-key prints $FAKE_TOOL_KEY. Each run is noted in $FAKE_TOOL_LOG; the deed "gate" ends once the file $FAKE_TOOL_GATE is there, so that no test depends on how long something takes."""
import hashlib
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from farm import elf  # noqa: E402

DEEDS = {1: "hang", 2: "die", 3: "garbage", 4: "memory", 5: "refuse", 6: "flood", 7: "gate", 8: "stubborn"}


def blame(class_, text):
    """The end of a run that failed, as `jf-model firmware --json` tells it."""
    if sys.argv[1] == "firmware":
        print(json.dumps({"error": {"class": class_, "code": "unsupported", "text": text}}))
    print(f"jf-tool: {text}", file=sys.stderr)
    sys.exit(1)


def misbehave(deed):
    if deed == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if deed in ("hang", "stubborn"):
        time.sleep(600)
    elif deed == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif deed == "garbage":
        print("{not JSON")
        sys.exit(0)
    elif deed == "memory":
        try:
            hog = bytearray(8 << 30)
            print(len(hog))
        except MemoryError:
            blame("refused", "out of memory")
        sys.exit(1)
    elif deed == "refuse":
        blame("refused", "the thing is not to its taste\x1b[31m")
    elif deed in ("toolchain", "io"):
        blame(deed, f"the {deed} is at fault")
    elif deed == "mute":
        print("jf-tool: not said whose fault", file=sys.stderr)
        sys.exit(1)
    elif deed == "flood":
        sys.stdout.write("x" * (40 << 20))
        sys.exit(0)
    elif deed == "gate":
        while not os.path.exists(os.environ["FAKE_TOOL_GATE"]):
            time.sleep(0.02)


def figure(median):
    return {"median": median, "mean": median, "stddev": 0.0, "cv": 0.0, "ci95": [median, median], "u_c": 0.0, "u95": median * 0.02, "k": 2.0, "budget": []}


def analyse(argv):
    sets = dict(a.split("=", 1) for a, o in zip(argv[1:], argv) if o == "--set")
    misbehave(DEEDS.get(round(float(sets.get("glitch_s", "0")) * 100)))
    result = {"method": "quick", "window_rule": sets.get("rule", "edge"), "verdict": "valid", "reasons": [], "notes": [], "inferences": 10, "windows": 1,
              "energy_per_inference_j": figure(2e-3), "net_energy_per_inference_j": None, "latency_per_inference_s": figure(1e-2)}
    window = {"index": 0, "inferences": 10, "from_s": 0.0, "to_s": 0.1, "duration_s": 0.1, "energy_j": 2e-2}
    print(json.dumps({"result": result, "windows": [window]}))
    return 0


def option(argv, name):
    return argv[argv.index(name) + 1]


def model(argv):
    """check and firmware: "do:WORD" in the model is the deed of firmware, "check:WORD" that of check."""
    with open(argv[1], "rb") as f:
        data = f.read()
    words = dict(w.split(":", 1) for w in data[8:].decode(errors="replace").split() if ":" in w)
    digest = hashlib.sha256(data).hexdigest()
    misbehave(words.get("do" if argv[0] == "firmware" else "check"))
    if argv[0] == "check":
        bad = words.get("check") == "illegal"
        list_ = [{"node": 3, "op": "CONV_2D", "rule": "kernel_w", "limit": "1..7", "value": 9, "effect": "illegal", "source": "a data sheet", "change": "a smaller kernel"},
                 {"rule": "memory", "limit": "128 KiB", "value": 200000, "effect": "illegal", "source": "a data sheet"}] if bad else []
        print(json.dumps({"model_sha256": digest, "target": option(argv, "--target"), "verdict": "illegal" if bad else "legal", "violations": list_}))
        return 1 if bad else 0
    address = 0x08000000 if words.get("do") != "misfit" else 0x70000000
    with open(option(argv, "--out"), "wb") as f:
        f.write(b"no image" if words.get("do") == "noimage" else elf(hashlib.sha256(data + option(argv, "--numerics").encode()).digest() * 4, address))
    print(json.dumps({"board": option(argv, "--board"), "model_sha256": "0" * 64 if words.get("do") == "other" else digest, "numerics": option(argv, "--numerics"), "kernels": "dsp", "flash_bytes": 128,
                      "ram_bytes": 64, "arena_bytes": 32, "regions": []}))
    return 0


def main():
    argv = sys.argv[1:]
    if argv[0] == "--version":
        print("jf-model fake")
        return 0
    if os.environ.get("FAKE_TOOL_LOG"):
        with open(os.environ["FAKE_TOOL_LOG"], "a", encoding="utf-8") as f:
            f.write(" ".join(argv) + "\n")
    if "--print-key" in argv:
        print(os.environ.get("FAKE_TOOL_KEY", "0" * 64))
        return 0
    if argv[0] == "analyse":
        return analyse(argv)
    return model(argv) if argv[0] in ("check", "firmware") else 2


if __name__ == "__main__":
    sys.exit(main())
