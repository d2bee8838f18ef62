#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes of machines, by the best instruction set. Each has ratios and goals of its own in ratios.json and a section in
docs/lab/benchmark.md.

Usage: classes.py PROGRAM [CLASS]
Prints the class to measure on this machine (its own by default), the limit of the other engines ("-" for none), and our
instruction sets to time. CLASS is the name of a class or of an instruction set, such as avx2.
"""
import dataclasses
import re
import subprocess
import sys

import engines


@dataclasses.dataclass(frozen=True)
class MachineClass:
    name: str
    # Its heading in docs/lab/benchmark.md.
    title: str
    # Our instruction set, as VIDENHANCE_ISA.
    isa: str
    # ONEDNN_MAX_CPU_ISA for the same instruction set; oneDNN has no limits on arm64.
    limit: str = ""
    # Of the processor, where vendors differ much; as in /proc/cpuinfo.
    vendor: str = ""


# The best first.
CLASSES = (
    MachineClass("amx", "AMX", "amx", "AVX512_CORE_AMX"),
    MachineClass("avx512vnni-intel", "AVX512-VNNI, Intel", "avx512vnni", "AVX512_CORE_VNNI", "GenuineIntel"),
    MachineClass("avx512vnni-amd", "AVX512-VNNI, AMD", "avx512vnni", "AVX512_CORE_VNNI", "AuthenticAMD"),
    MachineClass("avxvnni", "AVX-VNNI", "avxvnni", "AVX2_VNNI"),
    MachineClass("avx2", "AVX2 alone", "avx2", "AVX2"),
    MachineClass("neoni8mm", "arm64 with i8mm", "neoni8mm"),
    MachineClass("neondot", "arm64 with dot products alone", "neondot"),
)


@dataclasses.dataclass(frozen=True)
class Choice:
    machine_class: MachineClass
    # ONEDNN_MAX_CPU_ISA; empty if the machine has nothing better than the class.
    limit: str
    # Our instruction sets to time, from the lowest.
    isas: list[str]


def named(name: str) -> MachineClass:
    """Raises ValueError for a name that is no class."""
    for one in CLASSES:
        if one.name == name:
            return one
    raise ValueError(f"{name} is no class (hint: {', '.join(one.name for one in CLASSES)})")


def choose(asked: str, isas: list[str], vendor: str, has_avx512: bool) -> Choice:
    """What to measure on a machine with these of our instruction sets, from the lowest; `asked` may be empty.

    Raises ValueError if it cannot be measured here.
    """
    possible = [one for one in CLASSES if one.isa in isas and one.vendor in ("", vendor)]
    if asked and not any(asked in (one.name, one.isa) for one in CLASSES):
        named(asked)
    wanted = [one for one in possible if not asked or asked in (one.name, one.isa)]
    if not wanted:
        what = f"class {asked} cannot be measured" if asked else "there is no class"
        raise ValueError(f"{what} on this machine (it has {', '.join(isas)})")
    chosen = wanted[0]
    # Processors with AVX-512 without VNNI have no kernels of ours above AVX2, while other engines use it.
    is_limited = chosen.isa != isas[-1] or (chosen.isa == "avx2" and has_avx512)
    if is_limited and not chosen.limit:
        raise ValueError(f"class {chosen.name} needs a machine of its own: other engines cannot be limited to it")
    timed = [isa for isa in isas[:isas.index(chosen.isa) + 1] if isa != "scalar"]
    return Choice(chosen, chosen.limit if is_limited else "", timed)


def isas_in(diagnosis: str) -> list[str]:
    """Our instruction sets in what `videnhance doctor` prints, from the lowest."""
    match = re.search(r"^kernels .*\(of ([^)]*)\)", diagnosis, re.M)
    known = {"scalar"} | {one.isa for one in CLASSES}
    isas = [word for word in match[1].split(", ") if word in known] if match else []
    if not isas:
        raise ValueError("'videnhance doctor' names no kernels")
    return isas


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 64
    # Its exit code says whether something is missing, which does not matter here.
    diagnosis = subprocess.run([sys.argv[1], "doctor"], stdout=subprocess.PIPE, text=True).stdout
    facts = engines.processor()
    try:
        choice = choose(
            sys.argv[2] if len(sys.argv) == 3 else "", isas_in(diagnosis), facts.get("vendor_id", ""),
            "avx512f" in facts.get("flags", "").split())
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 64
    print(choice.machine_class.name, choice.limit or "-", *choice.isas)
    return 0


if __name__ == "__main__":
    sys.exit(main())
