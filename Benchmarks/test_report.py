# SPDX-License-Identifier: Apache-2.0
"""Tests of classes of machines and of their records: `pytest Benchmarks/test_report.py`. Nothing is measured."""
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import classes
import engines
import report

ROOT = Path(__file__).resolve().parents[1]
AMX_MACHINE = ["scalar", "avx2", "avxvnni", "avx512vnni", "amx"]
TITLES = [one.title for one in classes.CLASSES]


def choice(asked, isas, vendor="GenuineIntel", has_avx512=False):
    chosen = classes.choose(asked, isas, vendor, has_avx512)
    return chosen.machine_class.name, chosen.limit, chosen.isas


def test_a_machine_has_the_class_of_its_best_instruction_set():
    assert choice("", AMX_MACHINE) == ("amx", "", AMX_MACHINE[1:])
    assert choice("", ["scalar", "avx2"], "AuthenticAMD") == ("avx2", "", ["avx2"])
    assert choice("", AMX_MACHINE[:4])[:2] == ("avx512vnni-intel", "")
    assert choice("", AMX_MACHINE[:4], "AuthenticAMD")[:2] == ("avx512vnni-amd", "")
    assert choice("", ["scalar", "neondot", "neoni8mm"], "") == ("neoni8mm", "", ["neondot", "neoni8mm"])


def test_lower_classes_are_limited():
    assert choice("avx2", AMX_MACHINE) == ("avx2", "AVX2", ["avx2"])
    assert choice("avxvnni", AMX_MACHINE) == ("avxvnni", "AVX2_VNNI", ["avx2", "avxvnni"])
    # An instruction set that two vendors share names the class of this one.
    assert choice("avx512vnni", AMX_MACHINE)[:2] == ("avx512vnni-intel", "AVX512_CORE_VNNI")
    assert choice("amx", AMX_MACHINE)[:2] == ("amx", "")
    # AVX-512 without VNNI is nothing that our kernels use, but other engines do.
    assert choice("", ["scalar", "avx2"], has_avx512=True)[:2] == ("avx2", "AVX2")
    # A vendor without a class of its own.
    assert choice("", AMX_MACHINE[:4], "HygonGenuine")[:2] == ("avxvnni", "AVX2_VNNI")


@pytest.mark.parametrize("asked, isas, words", [
    ("amx", ["scalar", "avx2"], "amx cannot be measured on this machine (it has scalar, avx2)"),
    ("avx512vnni-amd", AMX_MACHINE, "avx512vnni-amd cannot be measured"),
    ("sse", AMX_MACHINE, "sse is no class (hint: amx, "),
    ("", ["scalar"], "there is no class on this machine"),
    ("neondot", ["scalar", "neondot", "neoni8mm"], "needs a machine of its own"),
])
def test_what_cannot_be_measured_is_said(asked, isas, words):
    with pytest.raises(ValueError) as error:
        classes.choose(asked, isas, "GenuineIntel", False)
    assert words in str(error.value)


def test_instruction_sets_are_read_from_the_doctor():
    line = "processor            AMD EPYC, 2 cores\nkernels              avx2 (of scalar, avx2, avxvnni{})\n"
    assert classes.isas_in(line.format("")) == ["scalar", "avx2", "avxvnni"]
    assert classes.isas_in(line.format(", VIDENHANCE_ISA is avx2")) == ["scalar", "avx2", "avxvnni"]
    with pytest.raises(ValueError):
        classes.isas_in("videnhance           0.1.0\n")


def test_only_the_section_of_the_class_is_replaced():
    page = report.with_section("", "AMX", "first\n\n### Ratios\n\nold\n")
    assert page.startswith(report.HEADER)
    assert page.count("Not measured yet.") == len(TITLES) - 1
    both = report.with_section(page, "AVX2 alone", "second\n")
    assert both == page.replace("## AVX2 alone\n\nNot measured yet.", "## AVX2 alone\n\nsecond")
    again = report.with_section(both, "AMX", "third\n")
    assert again == both.replace("first\n\n### Ratios\n\nold\n", "third\n")
    assert report.with_section(again, "AMX", "third\n") == again
    with pytest.raises(ValueError):
        report.with_section(page + "\n## Something else\n\nkept by hand\n", "AMX", "third\n")


def test_the_committed_page_and_ratios_have_all_classes():
    page = (ROOT / "docs" / "lab" / "benchmark.md").read_text()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == TITLES
    every = json.loads(Path(report.RATIOS).read_text())
    assert list(every) == [one.name for one in classes.CLASSES]
    for one in classes.CLASSES:
        section = page.split(f"## {one.title}\n\n")[1].split("\n## ")[0]
        # Either both are recorded or neither.
        assert (section.strip() == report.NOT_MEASURED.strip()) == (not every[one.name]["recorded"])


def test_engines_that_know_no_limit_are_left_out(monkeypatch):
    assert engines.obeys_limit("ncnn int8")
    monkeypatch.setattr(engines, "LIMIT", "AVX2")
    assert [name for name in ("onnxruntime fp32", "openvino int8", "ncnn int8") if engines.obeys_limit(name)] == [
        "openvino int8"]


def write_results(folder, isas, limit="", speed=1.0):
    """Results as run.sh leaves them; `speed` divides all of our times."""
    for isa in isas:
        for threads in (1, 2):
            peak = "" if isas == ["avx2"] else f"peak of 8-bit dot products: 100 GMAC/s on {threads} thread(s)\n"
            (folder / f"kernels-{isa}-{threads}.txt").write_text(
                f"instruction sets: {isa}; using {isa}\n{peak}"
                "8-bit direct        direct          30.00 ms      40 GMAC/s     40 % of peak  equal to scalar\n"
                "4-bit automatic     winograd-2x2    10.00 ms     120 GMAC/s    120 % of peak  equal to scalar\n")
    peers = ["openvino fp32", "openvino int8"] + ([] if limit else ["onnxruntime fp32", "ncnn fp32"])
    ours = [f"videnhance {bits} bits" for bits in (32, 8, 4)] + [f"videnhance {bits} bits throughout" for bits in (6, 4, 3, 2)]
    stack = {**{name: 300.0 for name in peers}, **{name: 100 / speed for name in ours}}
    network = {f"videnhance, {bits}-bit model": 10 * bits / speed for bits in (32, 8, 4)}
    run = {name: {"seconds": 10 / speed, "frames": 100, "memory": 200}
           for name in ("videnhance fast, 4 bits", "videnhance balanced, 4 bits", "videnhance balanced, 8 bits")}
    (folder / "end_to_end.json").write_text(json.dumps({
        report.SR_JOB: {**run, "ffmpeg scale=bicubic": {"seconds": 5, "frames": 100, "memory": 300}},
        "interpolation x2, bikes": {
            "videnhance balanced, 4 bits": run["videnhance fast, 4 bits"],
            "ffmpeg minterpolate": {"seconds": 20, "frames": 100, "memory": 100}},
    }))
    (folder / "peers.json").write_text(json.dumps({
        "machine": {"model name": "A Processor", "cpu family": "6", "model": "1", "cores": 2, "extensions": ["avx2"],
                    "limit": limit},
        "rounds": 3, "stack": {"1": stack, "2": stack}, "stack distance": {"openvino int8": 0.05},
        "network": {"1": network, "2": network}, "network distance": {}, "memory": {name: 100 for name in ours},
    }))


def run_report(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["report.py", *map(str, arguments)])
    return report.main()


@pytest.fixture
def place(tmp_path):
    """Folders for results and docs, and a file of ratios without records."""
    (tmp_path / "results").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmark.md").write_text(report.with_section("", "AMX", "of another machine\n"))
    every = json.loads(Path(report.RATIOS).read_text())
    for entry in every.values():
        entry["recorded"] = {}
    (tmp_path / "ratios.json").write_text(json.dumps(every))
    return tmp_path


def test_a_class_is_recorded_and_checked_by_itself(place, monkeypatch, capsys):
    arguments = [place / "results", "avx2", "--ratios", place / "ratios.json"]
    write_results(place / "results", ["avx2"])
    before = json.loads((place / "ratios.json").read_text())
    assert run_report(monkeypatch, *arguments) == 0
    assert "no record of this class yet" in capsys.readouterr().out

    assert run_report(monkeypatch, *arguments, "--docs", place / "docs", "--record") == 0
    after = json.loads((place / "ratios.json").read_text())
    recorded = after["avx2"]["recorded"]
    assert recorded["stack: 4 bits to openvino int8, 1 thread"] == {"ratio": 3.0, "slack": 0.2}
    assert recorded["sr x2 speed: frames a second of fast to 11"]["ratio"] == 0.909
    assert {**after, "avx2": before["avx2"]} == before and after["avx2"]["goals"] == before["avx2"]["goals"]
    page = (place / "docs" / "benchmark.md").read_text()
    assert "## AMX\n\nof another machine\n" in page and "## AVX2 alone\n\nMeasured on A Processor (family 6, model 1)" in page
    # The plot is of another class.
    assert not (place / "docs" / "benchmark.svg").exists() and (place / "results" / "benchmark.svg").exists()
    capsys.readouterr()

    assert run_report(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert "below its goal: 0.91 of 1  sr x2 speed: frames a second of fast to 11" in printed and "SHORT" not in printed
    write_results(place / "results", ["avx2"], speed=0.5)
    assert run_report(monkeypatch, *arguments) == 1
    assert "SHORT     1.50 (recorded 3.00, at least 2.40)  stack: 4 bits to openvino int8, 1 thread" in capsys.readouterr().out
    # Another class has no such record.
    assert run_report(monkeypatch, place / "results", "avxvnni", *arguments[2:]) == 0


def test_a_limited_run_says_so(place, monkeypatch, capsys):
    write_results(place / "results", ["avx2"], limit="AVX2")
    assert run_report(monkeypatch, place / "results", "avx2", "--ratios", place / "ratios.json") == 0
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "`VIDENHANCE_ISA=avx2`" in printed and "`ONEDNN_MAX_CPU_ISA=AVX2`" in printed
    assert "best FP32 engine" not in printed


def test_tiles_are_compared_with_their_peak_and_with_dot_products(place, monkeypatch):
    write_results(place / "results", ["avx512vnni", "amx"])
    arguments = ["--ratios", place / "ratios.json", "--record"]
    assert run_report(monkeypatch, place / "results", "amx", *arguments) == 0
    recorded = json.loads((place / "ratios.json").read_text())["amx"]["recorded"]
    assert recorded["kernel: 8 bits to the peak of tiles (amx, 1 thread)"]["ratio"] == 0.4
    assert recorded["kernel: 8 bits of amx to those of avx512vnni (2 threads)"]["ratio"] == 1
    assert recorded["sr x2 speed: frames a second of balanced, 8 bits to 30"]["ratio"] == 0.333
