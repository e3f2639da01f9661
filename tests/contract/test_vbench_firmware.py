#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The NUCLEO-H7A3ZI-Q images on the virtual board, flashed by the unmodified OpenOCD: boot, identity, reset cause, debug bits, inference against
published output CRCs, and the device's own time against the bench's truth. TAP."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fw_dialogue import GOLDEN, Dialogue, Tap, check_identity, check_inference, fields  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERIAL = "VBOARD000000000000000009"
CORE_HZ = 64000000
TIM2_CNT = 0x40000024
DEBUG_CLEAR = "mww 0x5C001004 0"


@contextlib.contextmanager
def vbench(directory, *extra):
    with open(os.path.join(directory, "vbench.log"), "wb") as log:
        p = subprocess.Popen([f"{ROOT}/build/jf-vbench", "--dir", directory, "--serial", SERIAL, "--truth", os.path.join(directory, "truth.jsonl"),
                              "--die-with-parent", "--scope", *extra], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ports = os.path.join(directory, "ports.json")
        until = time.monotonic() + 15
        while not os.path.exists(ports):
            if p.poll() is not None or time.monotonic() > until:
                raise RuntimeError("jf-vbench did not start")
            time.sleep(0.02)
        with open(ports, encoding="utf-8") as f:
            yield json.load(f)
    finally:
        p.terminate()
        p.wait(10)


def openocd(directory, port, commands):
    """One run of the Debian openocd: no ports, a fixed file name in a private directory."""
    script = ["gdb_port disabled", "telnet_port disabled", "tcl_port disabled", "adapter driver st-link", f"st-link backend tcp {port}",
              "st-link vid_pid 0x0483 0x374b", f"adapter serial {SERIAL}", "transport select dapdirect_swd",
              "source [find target/stm32h7x_dual_bank.cfg]", "reset_config srst_only", "adapter srst delay 0", *commands, "shutdown"]
    argv = ["openocd"]
    for c in script:
        argv += ["-c", c]
    return subprocess.run(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)


def open_uart(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    a = termios.tcgetattr(fd)
    a[4] = a[5] = termios.B115200
    termios.tcsetattr(fd, termios.TCSANOW, a)
    return fd


def drain(fd, quiet_s=0.3):
    """Old firmware runs for some milliseconds at each connect: what it said is not ours."""
    d = Dialogue(fd, fd)
    with contextlib.suppress(TimeoutError):
        while True:
            d.line(quiet_s)


def control(directory, **request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(10)
        s.connect(os.path.join(directory, "control"))
        s.sendall(json.dumps(request).encode() + b"\n")
        return s.recv(65536)


def windows(directory):
    """The bench's own truth: every window finished so far."""
    control(directory, cmd="truth")
    with open(os.path.join(directory, "truth.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(x) for x in f if x.endswith("\n")]
    return [r for r in rows if r["type"] == "window"]


def last_window(directory):
    return windows(directory)[-1]


def check_model(t, directory, ports, model, seed, fresh):
    shutil.copy(f"{ROOT}/build/firmware/nucleo-h7a3zi-q/{model}.elf", os.path.join(directory, "fw.elf"))
    r = openocd(directory, ports["stlink"], ["init", "reset halt", "flash write_image erase fw.elf", "verify_image fw.elf", "reset halt"])
    if not t.ok(r.returncode == 0 and b"verified" in r.stdout, f"{model}: openocd writes and verifies the image", r.stdout[-600:]):
        return
    fd = open_uart(os.path.join(directory, "uart"))
    try:
        drain(fd)
        r = openocd(directory, ports["stlink"], ["init", DEBUG_CLEAR, "reset run", DEBUG_CLEAR, "mww 0xE000EDF0 0xA05F0000"])
        t.ok(r.returncode == 0, f"{model}: openocd starts it", r.stdout[-600:])
        d = Dialogue(fd, fd)
        boot = d.until_ready(30)
        t.ok(boot[-2:] == ["m-timestamp-mode-energy", "m-init-done"], f"{model}: boot lines", boot)
        told = check_identity(t, d, model, CORE_HZ)
        reset, debug = fields(told, "reset"), fields(told, "debug")
        # flags gather until firmware clears them: on a board fresh from power-up, with no firmware before, power is the most telling
        t.ok(reset is not None and reset[0] in (("power",) if fresh else ("pin", "software")), f"{model}: reset cause", reset)
        t.ok(debug == ["0", "0x00000000"], f"{model}: no debug residue", debug)
        d.say("jf markers phases")
        window = fields(check_inference(t, d, model, seed, 120), "window")
        truth = last_window(directory)
        device_s = int(window[2]) / int(window[3])
        t.ok(truth["inferences"] == 2 and abs(device_s - truth["duration_s"]) < 5e-6 + 1e-5 * device_s,
             f"{model}: the device's time of the window is the bench's", (device_s, truth["duration_s"]))
        t.ok(set(truth["stages"]) >= {"input", "inference", "output", "post"}, f"{model}: four stages seen on the lines", truth["stages"])
        print(f"# {model}: {device_s / 2:.4f} s an inference by the device's clock")
    finally:
        os.close(fd)


def check_brownout(t, directory):
    """The supply sags below the brown-out threshold for some milliseconds: the board starts again and says why."""
    fd = open_uart(os.path.join(directory, "uart"))
    try:
        d = Dialogue(fd, fd)
        told = control(directory, cmd="fault", name="brown-out", on=True, params={})
        t.ok(b"error" not in told, "brown-out: the bench makes one", told)
        boot = d.until_ready(30)
        t.ok(boot[-2:] == ["m-timestamp-mode-energy", "m-init-done"], "brown-out: the board starts again", boot)
        t.ok((fields(d.say("jf on"), "reset") or [""])[0] == "brownout", "brown-out: the reset cause is brownout")
    finally:
        os.close(fd)


def check_mlperf(t):
    """Scheme mlperf, as after every boot: the falling edges of an infer lie as far apart as the device says. The bench pairs falling edges as they
    come, so one timestamp% evens out the boot's single pulse."""
    with tempfile.TemporaryDirectory(prefix="jf-fw-") as directory, vbench(directory, "--scheme", "mlperf") as ports:
        shutil.copy(f"{ROOT}/build/firmware/nucleo-h7a3zi-q/ad01.elf", os.path.join(directory, "fw.elf"))
        fd = open_uart(os.path.join(directory, "uart"))
        try:
            r = openocd(directory, ports["stlink"], ["init", "reset halt", "flash write_image erase fw.elf", "verify_image fw.elf", "reset run"])
            t.ok(r.returncode == 0, "mlperf: openocd writes and starts the image", r.stdout[-600:])
            d = Dialogue(fd, fd)
            d.until_ready(30)
            t.ok(d.say("timestamp") == [] and len(windows(directory)) == 1, "mlperf: one pulse at boot, one for timestamp%", windows(directory))
            t.ok(fields(d.say("jf on"), "markers") == ["mlperf", "100"], "mlperf: the scheme after a boot")
            window = fields(d.say("infer 20 2", 60), "window")
            found, device_s = windows(directory), int(window[2]) / int(window[3])
            t.ok(len(found) == 2 and abs(device_s - found[1]["duration_s"]) < 5e-6 + 1e-5 * device_s,
                 "mlperf: two falling edges an infer, as far apart as the device says", (device_s, found))
        finally:
            os.close(fd)


def check_timer_wrap(t, directory, ports):
    """The 32-bit timer is set 1.5 s before its end: a window across the wrap still has its true length."""
    fd = open_uart(os.path.join(directory, "uart"))
    try:
        r = openocd(directory, ports["stlink"], ["init", f"mww {TIM2_CNT:#x} {2 ** 32 - 1500000:#x}"])
        t.ok(r.returncode == 0, "timer: set near its end", r.stdout[-600:])
        d = Dialogue(fd, fd)
        window = fields(d.say("infer 120 0", 60), "window")
        truth, device_s = last_window(directory), int(window[2]) / int(window[3])
        t.ok(truth["inferences"] == 120 and abs(device_s - truth["duration_s"]) < 5e-6 + 1e-5 * device_s,
             "timer: a window across the wrap", (device_s, truth["duration_s"]))
    finally:
        os.close(fd)


def check_flood(t, directory):
    """More bytes than the receive ring holds while the device computes: lost bytes, one unknown command, and all is well again."""
    fd = open_uart(os.path.join(directory, "uart"))
    try:
        d = Dialogue(fd, fd)
        os.write(fd, b"infer 20 0%" + b"x" * 900)
        t.ok(d.until_ready(30)[-1].startswith("m-results-["), "flood: the running inference ends as always")
        time.sleep(0.2)
        lost = d.say("")
        t.ok(lost == [f"e-[Unknown command: {'x' * 80}]"], "flood: what came meanwhile is one unknown command", lost)
        t.ok(d.say("name") == ["m-name-dut-[joulefarm]"], "flood: the next command is answered")
    finally:
        os.close(fd)


def check_fault(t, directory, ports):
    """The probe sends the program counter to where nothing is: the handler says so and resets."""
    fd = open_uart(os.path.join(directory, "uart"))
    try:
        drain(fd)
        r = openocd(directory, ports["stlink"], ["init", "halt", "reg pc 0x60000000", "resume"])
        t.ok(r.returncode == 0, "fault: openocd moves the program counter", r.stdout[-600:])
        d = Dialogue(fd, fd)
        lines = d.until_ready(30)
        fault = [x for x in lines if x.startswith("e-[jf-fault: ")]
        t.ok(len(fault) == 1 and fault[0][13:].split(",")[1] == "0x60000000", "fault: one line names it and where", lines)
        t.ok(lines[-2:] == ["m-timestamp-mode-energy", "m-init-done"], "fault: the board starts again", lines)
        t.ok((fields(d.say("jf on"), "reset") or [""])[0] == "software", "fault: the reset cause is software")
    finally:
        os.close(fd)


def main():
    t = Tap()
    models = sys.argv[1:] or list(GOLDEN)
    with tempfile.TemporaryDirectory(prefix="jf-fw-") as directory, vbench(directory) as ports:
        for model in models:
            check_model(t, directory, ports, model, 2, model == models[0])
            if model == "ad01":
                check_timer_wrap(t, directory, ports)
                check_flood(t, directory)
        check_fault(t, directory, ports)
        check_brownout(t, directory)
    check_mlperf(t)
    t.end()


main()
