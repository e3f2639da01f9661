#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`jf-model firmware`: the image and what is said about it against the cross binutils, the same bytes from another place and from an installed tree, and
its refusals: each a sentence, exit 1, nothing left behind. TAP."""
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "replay")]
import tflite_writer as fm  # noqa: E402
from tap import Tap  # noqa: E402

MODEL_TOOL = os.path.join(os.environ.get("JF_BUILD", os.path.join(ROOT, "build")), "jf-model")
AD01 = os.path.join(ROOT, "firmware/models/ad01_int8.tflite")
BOARD = "nucleo-h7a3zi-q"
NM, SIZE = "arm-none-eabi-nm", "arm-none-eabi-size"


class Place:
    """A scratch folder: the command's TMPDIR, its output folder."""

    def __init__(self, top, name):
        self.tmp, self.out = os.path.join(top, name, "tmp"), os.path.join(top, name, "out")
        os.makedirs(self.tmp)
        os.makedirs(self.out)
        self.env = dict(os.environ, TMPDIR=self.tmp)

    def run(self, *args, tool=MODEL_TOOL, env=None):
        p = subprocess.run([tool, "firmware", AD01, "--name", "ad01", "--out", self.out, *args], env=dict(self.env, **(env or {})), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=150, check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def left(self):
        return os.listdir(self.tmp) + os.listdir(self.out)


def image(t, top):
    a, b = Place(top, "a"), Place(top, "a-place-with-a-longer-name")
    code, out, err = a.run("--board", BOARD, "--json")
    t.check(code == 0 and os.listdir(a.out) == ["ad01.elf"] and not os.listdir(a.tmp), "an image, and nothing else", (code, err, a.left()))
    if code:
        return None
    said, elf = json.loads(out), os.path.join(a.out, "ad01.elf")
    with open(elf, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    t.check(said["elf_sha256"] == digest and said["elf_bytes"] == os.path.getsize(elf), "its hash and size", said)
    rows = [r.split() for r in subprocess.run([SIZE, "-A", elf], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()]
    sizes = {r[0]: int(r[1]) for r in rows if len(r) == 3 and r[0].startswith(".")}
    ram = sizes[".stack"] + sizes[".data"] + sizes[".bss"]
    flash = sizes[".vectors"] + sizes[".note.gnu.build-id"] + sizes[".text"] + sizes[".data"]
    t.check(said["ram_bytes"] == ram and flash <= said["flash_bytes"] < flash + 64, "flash and RAM as the binutils count them, but for alignment", (said, sizes))
    symbols = subprocess.run([NM, "-S", elf], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    arenas = [int(s.split()[1], 16) for s in symbols if s.endswith(" arena")]
    t.check(arenas == [said["arena_bytes"]], "the arena", (arenas, said))
    code, out, err = b.run("--board", BOARD, "--json")
    t.check(code == 0 and json.loads(out)["elf_sha256"] == digest, "the same bytes again, from another folder", err)
    code, out, err = b.run("--board", BOARD, "--json", "--mode", "performance")
    t.check(code == 0 and json.loads(out)["elf_sha256"] != digest, "performance mode is another image", err)
    return digest


def installed(t, top, digest):
    prefix = os.path.join(top, "prefix")
    p = subprocess.run(["make", "--no-print-directory", "install", f"DESTDIR={prefix}", "PREFIX=/usr"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    place = Place(top, "installed")
    code, out, err = place.run("--board", BOARD, "--json", tool=os.path.join(prefix, "usr/bin/jf-model"))
    t.check(p.returncode == 0 and code == 0 and json.loads(out)["elf_sha256"] == digest, "the same bytes from an installed tree", (p.stdout[-500:], err))


def refused(t, top):
    for name, args, env, words in (
            ("an unknown board names the known ones", ("--board", "toaster"), {}, ("toaster", BOARD)),
            ("a board's name is no path", ("--board", "../boards/" + BOARD), {}, ("no board",)),
            ("no compiler: what to install", ("--board", BOARD), {"PATH": "/nonexistent"}, ("arm-none-eabi-gcc", "apt install", "gcc-arm-none-eabi")),
            ("no sources there", ("--board", BOARD, "--firmware-dir", top), {}, ("--firmware-dir", "runtime/jf_model.h"))):
        place = Place(top, name.replace(" ", "-"))
        code, out, err = place.run(*args, env=env)
        t.check(code == 1 and not out and all(w in err for w in words) and err.count("\n") == 1 and not place.left(), name, (code, out, err, place.left()))


def classes(t, top):
    """With --json a failure is an object on stdout too, which says whose fault it is."""
    for name, args, env, want in (("no compiler", ("--board", BOARD), {"PATH": "/nonexistent"}, "toolchain"), ("no such board", ("--board", "toaster"), {}, "toolchain"),
                                  ("an image that cannot be written", ("--board", BOARD, "--out", os.path.join(top, "no", "folder")), {}, "io")):
        place = Place(top, "class-" + name.replace(" ", "-"))
        code, out, err = place.run(*args, "--json", env=env)
        said = json.loads(out or "{}").get("error", {})
        t.check(code == 1 and said.get("class") == want and said["text"] in err and not place.left(), f"{name}: {want}", (code, out, err))


def keys(t, top):
    """--print-key: another header, another compiler, another board is another key; a model is none of it."""
    def key(*args, env=None):
        p = subprocess.run([MODEL_TOOL, "firmware", "--print-key", "--board", *args], env=dict(os.environ, TMPDIR=tmp, **(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return p.stdout.decode().strip() if p.returncode == 0 else p.stderr.decode()

    tmp, copy, fake = (os.path.join(top, d) for d in ("key-tmp", "key-copy", "key-fake"))
    os.mkdir(tmp)
    os.mkdir(fake)
    shutil.copytree(os.path.join(ROOT, "firmware"), copy)
    one = key(BOARD)
    t.check(len(one) == 64 and key(BOARD) == one and json.loads(key(BOARD, "--json")) == {"board": BOARD, "key": one} and key(BOARD, "--firmware-dir", copy) == one, "a key, the same for the same sources", one)
    with open(os.path.join(copy, "models", "more.tflite"), "wb") as f:
        f.write(b"x")
    t.check(key(BOARD, "--firmware-dir", copy) == one, "a model more: the same key")
    with open(os.path.join(copy, "runtime", "jf_model.h"), "a", encoding="ascii") as f:
        f.write("\n")
    two = key(BOARD, "--firmware-dir", copy)
    with open(os.path.join(fake, "arm-none-eabi-gcc"), "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\ncase \"$*\" in *' --version') echo 'arm-none-eabi-gcc 99';; *) exec {shutil.which('arm-none-eabi-gcc')} \"$@\";; esac\n")
    os.chmod(os.path.join(fake, "arm-none-eabi-gcc"), 0o755)
    three = key(BOARD, env={"PATH": f"{fake}:{os.environ['PATH']}"})
    four = key("qemu-mps2-an500")
    t.check(len({one, two, three, four}) == 4 and {len(k) for k in (two, three, four)} == {64}, "another header, another compiler, another board: another key", (one, two, three, four))
    t.check("not installed" in key(BOARD, env={"PATH": "/nonexistent"}) and not os.listdir(tmp), "no compiler, no key; nothing is left", key(BOARD, env={"PATH": "/nonexistent"}))


def too_large(t, top):
    """More input than the protocol's buffer holds: refused when it is built, not by a mute board."""
    model = fm.Model()
    x, y = model.tensor([1, 27649], 0.5, 0), model.tensor([1, 27649], 0.25, 0)
    model.op(fm.QUANTIZE, [x], y)
    place = Place(top, "too-large")
    path = os.path.join(top, "large.tflite")
    with open(path, "wb") as f:
        f.write(model.bytes([x], [y]))
    p = subprocess.run([MODEL_TOOL, "firmware", path, "--board", BOARD, "--out", place.out, "--json"], env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=150, check=False)
    t.check(p.returncode == 1 and b"input of the model larger than the harness holds" in p.stderr and json.loads(p.stdout)["error"]["class"] == "refused" and not place.left(), "more input than the harness holds: the model's fault", (p.stdout, p.stderr))


def planted(t, top):
    """Copies of the sources with something wrong in them."""
    def tree(name, path, old, new):
        d = os.path.join(top, name)
        shutil.copytree(os.path.join(ROOT, "firmware"), d)
        with open(os.path.join(d, path), encoding="utf-8") as f:
            text = f.read()
        assert old in text
        with open(os.path.join(d, path), "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        return d

    conf, script = f"boards/{BOARD}/build.conf", f"boards/{BOARD}/link.ld"
    for name, d, words in (
            ("too little flash: section, region, bytes", tree("flash", script, "LENGTH = 2048K", "LENGTH = 256K"), (".text", "FLASH", "bytes", BOARD)),
            ("too little RAM: section, region, bytes", tree("ram", script, "LENGTH = 1024K", "LENGTH = 32K"), (".bss", "AXISRAM", "bytes", BOARD)),
            ("a compiler's complaint: file and line", tree("code", f"boards/{BOARD}/board.c", "#include <string.h>", "#include <string.h>\nint 1;"), ("board.c:", "error")),
            ("an unknown key: its line", tree("key", conf, "kernels ", "kernel "), ("build.conf", "line", "kernel")),
            ("a key twice", tree("twice", conf, "flash ", "ram X\nflash "), ("build.conf", "twice", "ram")),
            ("a missing key", tree("none", conf, "link ", "#link "), ("build.conf", "link"))):
        place = Place(top, name.replace(" ", "-").replace(":", ""))
        old = os.path.join(place.out, "ad01.elf")
        with open(old, "w", encoding="ascii") as f:
            f.write("old")
        code, out, err = place.run("--board", BOARD, "--firmware-dir", d, "--json")
        with open(old, encoding="ascii") as f:
            kept = f.read()
        whose = json.loads(out or "{}").get("error", {}).get("class")
        t.check(code == 1 and whose == ("refused" if "too little" in name else "toolchain") and all(w in err for w in words) and err.count("\n") == 1 and kept == "old" and place.left() == ["ad01.elf"], name, (code, out, err))


def recipe(t, top):
    """Step 3 of CONTRIBUTING.md, "Add a board": the copied folder under its own name builds."""
    with open(os.path.join(ROOT, "CONTRIBUTING.md"), encoding="utf-8") as f:
        section = f.read().split("## Add a board")[1].split("\n## ")[0]
    found = re.search(r"copy `firmware/boards/([a-z0-9-]+)/`", section)
    sources, place = os.path.join(top, "recipe-sources"), Place(top, "recipe")
    shutil.copytree(os.path.join(ROOT, "firmware"), sources)
    old, new = os.path.join(sources, "boards", found.group(1)), os.path.join(sources, "boards", "myboard")
    os.rename(old, new)
    code, out, err = place.run("--board", "myboard", "--firmware-dir", sources)
    t.check(code == 1 and found.group(1) in err, "a copied board that still names the old folder is told so", (code, err))
    with open(os.path.join(new, "build.conf"), encoding="utf-8") as f:
        conf = f.read()
    with open(os.path.join(new, "build.conf"), "w", encoding="utf-8") as f:
        f.write(conf.replace(f"boards/{found.group(1)}", "boards/myboard"))
    code, out, err = place.run("--board", "myboard", "--firmware-dir", sources, "--json", "--strict")
    t.check(code == 0 and json.loads(out)["board"] == "myboard" and place.left() == ["ad01.elf"], "a board made by the recipe builds", (code, out, err))


def ended(t, top):
    """SIGTERM in the middle: a compiler that sleeps stands in PATH before the real one."""
    place = Place(top, "ended")
    fake = os.path.join(top, "fake")
    os.mkdir(fake)
    with open(os.path.join(fake, "arm-none-eabi-gcc"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho $$ >> \"$TMPDIR/../pids\"\nsleep 60\n")
    os.chmod(os.path.join(fake, "arm-none-eabi-gcc"), 0o755)
    p = subprocess.Popen([MODEL_TOOL, "firmware", AD01, "--board", BOARD, "--out", place.out], env=dict(place.env, PATH=f"{fake}:{os.environ['PATH']}"),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 10
    while time.monotonic() < end and not glob.glob(os.path.join(place.tmp, "pids")):
        time.sleep(0.02)
    p.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=30)
    with open(os.path.join(place.tmp, "pids"), encoding="ascii") as f:
        pids = [int(x) for x in f.read().split()]
    os.unlink(os.path.join(place.tmp, "pids"))
    alive = [x for x in pids if os.path.exists(f"/proc/{x}")]
    t.check(p.returncode == 1 and b"signal 15" in err and not place.left() and not alive, "SIGTERM: no child, no file stays", (p.returncode, err, place.left(), alive))


def main():
    t = Tap()
    if not shutil.which("arm-none-eabi-gcc"):
        print("1..0 # SKIP arm-none-eabi-gcc is not installed")
        return 0
    with tempfile.TemporaryDirectory() as top:
        digest = image(t, top)
        installed(t, top, digest)
        refused(t, top)
        classes(t, top)
        keys(t, top)
        too_large(t, top)
        planted(t, top)
        recipe(t, top)
        ended(t, top)
    return t.done()


sys.exit(main())
