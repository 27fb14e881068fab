"""Measures pyloader's entropy decoder beside libjpeg's, alone and in whole decodes, on one thread.

    python bench/bench_entropy.py --data FOLDER

Compiles entropy.cpp with the core's jpeg/ room (a C++ compiler and libjpeg-turbo's headers are
needed). All coefficients and pixels of every file are compared between both first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.files import JPEG_SUFFIXES, list_class_folder

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("jpeg_read_coefficients", "entropy, own", "decode, libjpeg", "decode, own")
HEADER = ("", "us of CPU/image", "[min .. max]", "times libjpeg")


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        files, _ = list_class_folder(options.data.resolve())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    jpegs = [path for path in files if path.lower().endswith(JPEG_SUFFIXES)]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "entropy"
        compile_program(program)
        result = subprocess.run(
            [program, str(options.rounds)],
            input="\n".join(jpegs),
            stdout=subprocess.PIPE,
            text=True,
        )
    if result.returncode != 0:
        return 1
    first, *lines = result.stdout.splitlines()
    count, left_out = map(int, first.split())
    about = machine.describe_machine()
    print(f"{about['processor']}, {count} files, {left_out} left to libjpeg")
    print("coefficients and pixels of every file equal")
    rounds = [[float(figure) for figure in line.split()] for line in lines]
    if rounds:
        print(report.format_table(HEADER, table_rows(rounds)))
    if options.json:
        record = {"machine": about, "files": count, "left_out": left_out}
        record["rounds_us"] = [dict(zip(NAMES, figures, strict=True)) for figures in rounds]
        options.json.write_text(json.dumps(record, indent=1))
    return 0


def table_rows(rounds: list[list[float]]) -> list[tuple[str, ...]]:
    """Returns a row per name; the factor is libjpeg's time to this one's, paired by round."""
    columns = list(zip(*rounds, strict=True))
    rows = []
    for i, name in enumerate(NAMES):
        figures = report.median_and_spread(columns[i])
        ratio = report.paired_ratio(columns[i - i % 2], columns[i])
        spread = f"[{figures['min']:.0f} .. {figures['max']:.0f}]"
        rows.append((name, f"{figures['median']:.0f}", spread, f"{ratio:.2f}"))
    return rows


def compile_program(program: Path) -> None:
    """Builds entropy.cpp as setup.py builds the extension."""
    sources = [ROOT / "bench" / "entropy.cpp"]
    sources += [path for room in ("jpeg", "base") for path in (ROOT / "csrc" / room).glob("*.cpp")]
    flags = ["-std=c++20", "-O3", "-ffp-contract=off", f"-I{ROOT / 'csrc'}"]
    prefix = os.environ.get("PYLOADER_JPEG_ROOT")
    library = ["-ljpeg"]
    if prefix:
        flags.append(f"-I{prefix}/include")
        library = [f"-L{prefix}/{lib}" for lib in ("lib", "lib64")]
        library += [f"-Wl,-rpath,{prefix}/{lib}" for lib in ("lib", "lib64")] + ["-ljpeg"]
    compiler = os.environ.get("CXX", "c++")
    subprocess.run([compiler, *flags, *sources, *library, "-o", program], check=True)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="one folder per class")
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds (default: 9)")
    parser.add_argument("--json", type=Path, help="where the raw figures go")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
