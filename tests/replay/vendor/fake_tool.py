#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands in for every vendor's tool in tests/replay/test_vendor.py: installed under the tool's name, it answers the version probe, writes the
files that the command line asks for and prints the recorded report. FAKE_MODE plants faults; FAKE_COUNT names a file that gets
one byte per run."""
import os
import shutil
import sys
import time

HERE = os.environ["FAKE_HOME"]
NAME = os.path.basename(sys.argv[0])
ARGS = sys.argv[1:]
MODE = os.environ.get("FAKE_MODE", "")
VERSIONS = {"vela": "3.10.0", "neutron-converter": "eIQ neutron-converter version 2.0.2+0X0cebb80a", "stedgeai": "ST Edge AI Core v2.1.0-20194 329b0e98d",
            "nntool": "NNTOOL Version 2.0", "model_transform.py": "2025/01/01 00:00:00 - INFO : TPU-MLIR v1.17-20250402\nusage: model_transform.py [-h] --model_name MODEL_NAME"}


def value(option):
    return ARGS[ARGS.index(option) + 1]


def recorded(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


def put(path, text="x"):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


if NAME == "python3" and ARGS[0] == "-c":  # the probe of a package
    if MODE == "bare":
        sys.exit("importlib.metadata.PackageNotFoundError: No package metadata was found for esp-ppq")
    print({"old": "0.9.1", "mute": "hello"}.get(MODE, {"esp-ppq": "1.2.4"}[ARGS[1].split("'")[1]]))
    sys.exit(0)
if "--version" in ARGS or "--help" in ARGS:
    print({"old": "0.9.1", "mute": "hello"}.get(MODE, VERSIONS[NAME]))
    sys.exit(0)
if os.environ.get("FAKE_COUNT"):
    with open(os.environ["FAKE_COUNT"], "a", encoding="utf-8") as f:
        f.write("1")
if MODE == "hang":
    time.sleep(600)
if MODE == "die":
    print("Error: cannot read the network")
    sys.exit(3)
if MODE == "signal":
    os.kill(os.getpid(), 9)
if MODE == "flood":
    while True:
        sys.stdout.write("x" * 65536)
if MODE == "eat":
    bytearray(1 << 40)
if MODE == "nothing":
    sys.exit(0)

stem = "net"
if NAME == "vela":
    stem = os.path.splitext(os.path.basename(ARGS[0]))[0]
    out = value("--output-dir")
    shutil.copyfile(os.environ.get("FAKE_OUTPUT", ARGS[0]), os.path.join(out, stem + "_vela.tflite"))
    put(os.path.join(out, stem + "_summary_internal-default.csv"), "no,such,columns\n1,2\n" if MODE == "garbage" else recorded("vela_summary.csv"))
    print("\x00\xff garbage" if MODE == "garbage" else recorded("vela.txt"))
elif NAME == "neutron-converter":
    shutil.copyfile(value("--input"), value("--output"))
    print(recorded("neutron.txt"))
elif NAME == "stedgeai":
    put(os.path.join(value("--output"), "network_analyze_report.txt"), recorded("stedgeai.txt"))
    print(recorded("stedgeai.txt"))
elif NAME == "ai8xize.py":
    put(os.path.join(value("--test-dir"), "net", "cnn.c"))
    put(os.path.join(value("--test-dir"), "net", "weights.h"))
    print(recorded("ai8xize.txt"))
elif NAME == "model_transform.py":
    put(value("--mlir"))
elif NAME == "model_deploy.py":
    assert os.path.exists(value("--mlir")), "the second step sees what the first one wrote"
    put(value("--model"))
elif NAME == "model_tool":
    print(recorded("tpu_mlir.txt"))
elif NAME == "python3":
    base = ARGS[2][:-len(".espdl")]
    for end in (".espdl", ".info", ".json"):
        put(base + end)
elif NAME == "nntool":
    put("state.json") if "-s" in ARGS else put(os.path.join(value("-M"), value("-m")))
