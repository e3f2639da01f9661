#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The harness with each emitted model on qemu's Cortex-M7 (mps2-an500): boot, identity, inference against published output CRCs, both modes. TAP."""
import contextlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fw_dialogue import GOLDEN, Dialogue, Tap, ad01_error, check_identity, check_inference, fields  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORE_HZ = 25000000
END_OF_TEST = b"\x04"


@contextlib.contextmanager
def qemu(elf):
    p = subprocess.Popen(["qemu-system-arm", "-M", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "stdio", "-semihosting-config",
                          "enable=on,target=native", "-kernel", elf], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield p, Dialogue(p.stdout.fileno(), p.stdin.fileno())
    finally:
        p.kill()
        p.wait()


def check_error(t, line, seed):
    host = subprocess.run([f"{ROOT}/build/jf-model", "run", f"{ROOT}/firmware/models/ad01_int8.tflite", "--input", f"lcg:{seed}"],
                          stdout=subprocess.PIPE, check=True).stdout.decode()
    want = ad01_error(seed, [int(v) for v in host.split("\n")[0].split(",")])
    got = float(line[len("m-results-["):-1])
    # the published scales have six digits
    t.ok(abs(got - want) < 1e-5 * want + 0.0006, f"ad01: reconstruction error for input {seed}", (line, want))


def check_energy(t, model):
    with qemu(f"{ROOT}/build/firmware/qemu-mps2-an500/{model}.elf") as (p, d):
        boot = d.until_ready(60)
        t.ok(boot == ["m-timestamp-mode-energy", "m-init-done"], f"{model}: boot lines", boot)
        check_identity(t, d, model, CORE_HZ)
        for seed in (2, 3):
            lines = check_inference(t, d, model, seed)
            if model == "ad01":
                check_error(t, lines[-1], seed)
        d.say("jf markers phases")
        lines = check_inference(t, d, model, 1)
        window = fields(lines, "window")
        t.ok(window is not None and window[:2] == ["4", "2"] and int(window[2]) > 0, f"{model}: window report in scheme phases", window)
        os.write(p.stdin.fileno(), END_OF_TEST)
        t.ok(p.wait(10) == 0, f"{model}: qemu ends without a fault")


def check_performance(t, model):
    with qemu(f"{ROOT}/build/firmware/qemu-mps2-an500-performance/{model}.elf") as (_, d):
        boot = d.until_ready(60)
        t.ok(boot[0] == "m-timestamp-mode-performance" and boot[1].startswith("m-lap-us-") and boot[2:] == ["m-init-done"],
             f"{model}: boot lines of performance mode", boot)
        lines = d.say("infer 3 0", 60)
        heads = [x.split("-[")[0].rstrip("0123456789") for x in lines]
        laps = [int(x[9:]) for x in lines if x.startswith("m-lap-us-")]
        t.ok(heads == ["m-warmup-start-", "m-warmup-done", "m-infer-start-", "m-lap-us-", "m-lap-us-", "m-infer-done", "m-results"]
             and laps[1] > laps[0], f"{model}: laps around the window", lines)


def main():
    t = Tap()
    if not shutil.which("qemu-system-arm"):
        print("1..0 # SKIP qemu-system-arm is not installed\nok 1 - qemu # SKIP qemu-system-arm is not installed")
        return
    for model in GOLDEN:
        check_energy(t, model)
    check_performance(t, "ad01")
    t.end()


main()
