#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The architecture as checks: include directions, library containment, linked libraries, header self-sufficiency, and
what no file may hold. Each rule is first run on a small tree with a planted violation, which it must catch (else the
rule itself is the failure), then on the real tree. Prints TAP."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)

# Who may include whom: first matching prefix of the including file wins (architecture, section 1).
MAY_INCLUDE = [
    ("base/", ["base/"]),
    ("drivers/power/sigrok/", ["base/", "drivers/power/power.h", "drivers/power/conf.h", "drivers/power/sigrok/"]),
    ("drivers/power/ppk2/", ["base/", "drivers/power/power.h", "drivers/power/conf.h", "drivers/power/ppk2/"]),
    ("drivers/power/", ["base/", "drivers/power/"]),
    ("drivers/flash/openocd/", ["base/", "drivers/flash/flash.h", "drivers/flash/openocd/"]),
    ("drivers/flash/", ["base/", "drivers/flash/"]),
    ("measure/", ["base/", "measure/"]),
    ("bench/", ["base/", "bench/", "drivers/power/power.h", "drivers/flash/flash.h", "measure/", "firmware/include/"]),
    ("db/", ["base/", "db/"]),
    ("daemon/", ["base/", "daemon/", "db/store.h", "measure/trace/", "measure/compare.h", "measure/version.h"]),
    ("cli/", ["base/", "cli/"]),
    ("compiler/", ["base/", "compiler/", "firmware/runtime/", "firmware/include/"]),
    ("firmware/", ["firmware/", "jf_", "board.h", "port.h"]),
    ("sim/", ["base/", "sim/"]),
]
SIM_BASE_SUBDIRS = ("base/proc/", "base/serial/", "base/usb/")
# foreign header (prefix) -> where it may appear
CONTAINED = {
    "libserialport.h": ["base/serial/"],
    "libusb": ["base/usb/"],
    "libsigrok/": ["drivers/power/sigrok/"],
    "glib": ["drivers/power/sigrok/"],
    "microhttpd.h": ["daemon/http.c", "daemon/http_"],
    "sqlite3.h": ["db/"],
    "unicorn/": ["sim/"],
    "curl/": ["cli/"],
    "yaml.h": ["daemon/", "compiler/yaml_doc.c"],
    "libelf.h": ["daemon/"],
    "gelf.h": ["daemon/"],
    "zstd.h": ["measure/trace/"],
    "nettle/": ["measure/trace/"],
    "archive": ["measure/trace/"],
    "protobuf-c": ["compiler/onnx"],
    "onnx/": ["compiler/onnx"],
}
# program -> libraries that must not be reached (ldd, transitively)
NOT_LINKED = {
    "jf-vbench": ["libserialport", "libsigrok", "libusb", "libmicrohttpd", "libsqlite3"],
    "joulefarmd": ["libsigrok", "libserialport", "libusb-1.0", "libunicorn", "libcurl"],
    "jf-bench": ["libsqlite3", "libmicrohttpd", "libunicorn", "libcurl"],
    "joulefarm": ["libsqlite3", "libmicrohttpd", "libunicorn", "libsigrok", "libserialport"],
    "jf-model": ["libsqlite3", "libmicrohttpd", "libunicorn", "libsigrok", "libcurl"],
    "jf-trace": ["libsqlite3", "libmicrohttpd", "libunicorn", "libsigrok", "libcurl"],
}
MAX_LINES = 700  # of a C file outside tests: beyond that it holds more than one noun
C_DIRS = ["base", "drivers", "measure", "bench", "daemon", "db", "cli", "compiler", "firmware", "sim"]
FORBIDDEN = [
    (re.compile(r"(^|[^A-Za-z.])/(work|farm)/"), "a path of one machine"),
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "left open"),
    (re.compile(r"registry\.npmjs|deb\.debian\.org"), "a registry's host name"),
]


def c_files(root, ext=(".c", ".h")):
    for top in C_DIRS:
        for base, dirs, names in os.walk(os.path.join(root, top)):
            dirs[:] = [d for d in dirs if d != "build"]
            for n in sorted(names):
                if n.endswith(ext):
                    yield os.path.relpath(os.path.join(base, n), root)


def includes_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return INCLUDE.findall(f.read())


def rule_include_direction(root):
    bad = []
    for path in c_files(root):
        allowed = next((a for p, a in MAY_INCLUDE if path.startswith(p)), None)
        for kind, name in includes_of(root, path):
            if kind == "<":
                continue
            if allowed is None or not any(name.startswith(a) for a in allowed):
                if path.startswith("firmware/") and "/" not in name:
                    continue  # a firmware file beside it, or generated
                bad.append(f"{path} may not include {name}")
            if path.startswith("sim/") and name.startswith(SIM_BASE_SUBDIRS):
                bad.append(f"{path} may not include {name}: the virtual bench shares no seam with what it tests")
    return bad


def rule_library_containment(root):
    bad = []
    for path in c_files(root):
        for kind, name in includes_of(root, path):
            for lib, homes in CONTAINED.items():
                if kind == "<" and name.startswith(lib) and not any(path.startswith(h) for h in homes):
                    bad.append(f"{path} includes <{name}>, which lives in {', '.join(homes)}")
    return bad


def rule_linked_libraries(root, build=None):
    bad = []
    build = build or os.path.join(root, "build")
    for prog, libs in NOT_LINKED.items():
        exe = os.path.join(build, prog)
        if not os.path.exists(exe):
            bad.append(f"{prog} is not built")
            continue
        out = subprocess.run(["ldd", exe], capture_output=True, text=True, check=False).stdout
        bad += [f"{prog} is linked with {lib}" for lib in libs if lib in out]
    return bad


def pkg_cflags():
    pkgs = ["libserialport", "libusb-1.0", "libsigrok", "glib-2.0", "jansson", "sqlite3", "libmicrohttpd", "yaml-0.1", "libelf",
            "libzstd", "libsodium", "libcurl", "libarchive", "unicorn"]
    return subprocess.run(["pkg-config", "--cflags", *pkgs], capture_output=True, text=True, check=True).stdout.split()


def rule_header_self_sufficient(root):
    flags = pkg_cflags()

    def one(path):
        if path.startswith("firmware/boards/"):
            return None  # freestanding, compiled by the cross compiler's own check of the board
        src = f'#include "{path}"\n#include "{path}"\nint header_check;\n'
        p = subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I.",
                            "-Ifirmware/include", "-Ifirmware/runtime", "-Ifirmware/harness", "-Ibuild/gen", *flags, "-x", "c", "-"],
                           input=src, cwd=root, capture_output=True, text=True, check=False)
        return f"{path} does not stand alone: {p.stderr.strip().splitlines()[0]}" if p.returncode else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return [b for b in pool.map(one, list(c_files(root, (".h",)))) if b]


def rule_forbidden_text(root):
    bad = []
    if os.path.exists(os.path.join(root, ".git")):  # a file in a linked work tree
        listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")
    else:
        listed = [os.path.relpath(os.path.join(b, n), root) for b, _, ns in os.walk(root) for n in ns]
    for path in listed:
        if not path.endswith((".c", ".h", ".py", ".sh", ".md", ".yaml", ".mk", ".js", ".html", ".css", ".json", "Makefile", ".ci/run")):
            continue
        if path == "tests/rules/rules.py":
            continue
        full = os.path.join(root, path)
        if not os.path.isfile(full):
            continue
        with open(full, encoding="utf-8", errors="replace") as f:
            for no, line in enumerate(f, 1):
                bad += [f"{path}:{no}: {what}" for rx, what in FORBIDDEN if rx.search(line)]
    return bad


def rule_spdx(root):
    bad = []
    for path in c_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            head = f.read(400)
        want = "MIT" if path.startswith("firmware/") else "GPL-2.0-or-later"
        if f"SPDX-License-Identifier: {want}" not in head:
            bad.append(f"{path} lacks 'SPDX-License-Identifier: {want}'")
    return bad


def rule_fuzz_target_per_parser(root):
    want = ["tflite", "http_json", "mlperf_line", "ppk2", "scpi"]
    have = os.listdir(os.path.join(root, "tests/fuzz")) if os.path.isdir(os.path.join(root, "tests/fuzz")) else []
    return [f"tests/fuzz/fuzz_{w}.c is missing" for w in want if f"fuzz_{w}.c" not in have]


def rule_fuzz_seeds(root):
    """Without seeds `make fuzz-seeds` replays nothing, and libFuzzer starts from an empty input."""
    bad = []
    fuzz = os.path.join(root, "tests/fuzz")
    for name in sorted(os.listdir(fuzz)) if os.path.isdir(fuzz) else []:
        if name.startswith("fuzz_") and name.endswith(".c"):
            seeds = os.path.join(fuzz, "seeds", name[len("fuzz_"):-len(".c")])
            if not (os.path.isdir(seeds) and any(os.path.getsize(os.path.join(seeds, s)) for s in os.listdir(seeds))):
                bad.append(f"tests/fuzz/{name} has no seed in {os.path.relpath(seeds, root)}")
    return bad


def rule_file_length(root):
    bad = []
    for path in c_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            n = sum(1 for _ in f)
        if n > MAX_LINES:
            bad.append(f"{path} has {n} lines, more than {MAX_LINES}: split it")
    return bad


def plant(files):
    d = tempfile.mkdtemp(prefix="jf-rules-")
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(d, path)), exist_ok=True)
        with open(os.path.join(d, path), "w", encoding="utf-8") as f:
            f.write(text)
    return d


def planted_link():
    """A program called jf-vbench that is linked with libserialport, and harmless stand-ins for the others."""
    d = plant({"x.c": "int sp_x(void); int main(void){return 0;}\n"})
    build = os.path.join(d, "build")
    os.makedirs(build)
    for prog in NOT_LINKED:
        extra = ["-Wl,--no-as-needed", "-l:libserialport.so.0"] if prog == "jf-vbench" else []
        subprocess.run(["gcc", "-o", os.path.join(build, prog), os.path.join(d, "x.c"), *extra], check=True)
    return d


SPDX = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
def rule_tests_run(root):
    """The runner executes test programs as they are."""
    found = sorted(glob.glob(os.path.join(root, "tests", "*", "test_*.py")))
    return [f"{os.path.relpath(f, root)} is not executable" for f in found if not os.access(f, os.X_OK)]


RULES = [
    ("include direction", rule_include_direction, lambda: plant({"db/a.c": SPDX + '#include "daemon/b.h"\n'})),
    ("include direction of the virtual bench", rule_include_direction, lambda: plant({"sim/a.c": SPDX + '#include "base/serial/serial.h"\n'})),
    ("drivers do not include each other", rule_include_direction,
     lambda: plant({"drivers/power/ppk2/a.c": SPDX + '#include "drivers/power/sigrok/s.h"\n'})),
    ("library containment", rule_library_containment, lambda: plant({"daemon/scheduler.c": SPDX + "#include <sqlite3.h>\n"})),
    ("linked libraries", rule_linked_libraries, planted_link),
    ("header self-sufficiency", rule_header_self_sufficient, lambda: plant({"base/a.h": SPDX + "uint8_t x(void);\n"})),
    ("forbidden text", rule_forbidden_text, lambda: plant({"README.md": "see /work/main\n"})),
    ("licence line", rule_spdx, lambda: plant({"base/a.c": "int x;\n"})),
    ("a fuzz target for each parser", rule_fuzz_target_per_parser, lambda: plant({"tests/fuzz/fuzz_ppk2.c": SPDX})),
    ("seeds for each fuzz target", rule_fuzz_seeds,
     lambda: plant({"tests/fuzz/fuzz_a.c": SPDX, "tests/fuzz/seeds/a/1": "x", "tests/fuzz/fuzz_b.c": SPDX, "tests/fuzz/seeds/b/1": ""})),
    ("file length", rule_file_length, lambda: plant({"base/a.c": SPDX + "\n" * MAX_LINES})),
    ("tests can be executed", rule_tests_run, lambda: plant({"tests/unit/test_a.py": "#!/usr/bin/env python3\n"})),
]


def main():
    failed = 0
    n = 0
    for name, rule, make_planted in RULES:
        d = make_planted()
        try:
            caught = rule(d)
        finally:
            shutil.rmtree(d)
        n += 1
        print(f"{'ok' if caught else 'not ok'} {n} - {name}: a planted violation is caught")
        failed += not caught
    first_name = {}
    for name, rule, _ in RULES:
        first_name.setdefault(rule, name)
    for rule, name in first_name.items():
        bad = rule(ROOT)
        n += 1
        print(f"{'not ok' if bad else 'ok'} {n} - {name}: the tree is clean")
        for b in bad[:40]:
            print(f"#   {b}")
        failed += bool(bad)
    print(f"1..{n}")
    return 1 if failed else 0


sys.exit(main())
