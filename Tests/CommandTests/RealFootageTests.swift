// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import QualityReport
import TestSupport
import Testing

@testable import VidenhanceTool

/// Tests `bench quality --tables real,restore` on a generated clip, with a shell script in place of the
/// peers.
@Suite struct RealFootageTests {
  private static let clip =
    "-f lavfi -i testsrc2=size=160x96:rate=25:duration=0.2 -vf noise=alls=6:allf=t:all_seed=7 -pix_fmt yuv420p -c:v ffv1"

  /// Creates a replacement for Python: `double` upscales with FFmpeg's bicubic filter, `broken` fails.
  private static let peers = """
    #!/bin/sh
    shift
    case "$1 $2" in
      "list sr") printf 'double\\nbroken\\n';;
      "run double") ffmpeg -v error -y -i "$3" -vf scale=iw*2:ih*2:flags=bicubic -c:v ffv1 "$4" &&
        echo '{"frames": 5, "cpuSecondsPerFrame": 0.25, "settings": "a script"}';;
      *) echo "no such wheel" >&2; exit 1;;
    esac

    """

  private func writePeers(_ bench: Workbench) throws {
    try Data(Self.peers.utf8).write(to: URL(fileURLWithPath: bench.path("python")))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bench.path("python"))
  }

  private func rows(_ bench: Workbench, _ name: String) throws -> [RealRow] {
    try JSONDecoder().decode([RealRow].self, from: Data(contentsOf: URL(fileURLWithPath: bench.path(name))))
  }

  private func run(_ bench: Workbench, _ more: String...) throws -> Outcome {
    let usual = ["bench", "quality", bench.path("a.mkv"), "--threads", "1"]
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    // Run in the root folder, where the script of the peers is.
    return try Program.Run(usual + more, directory: root).finish()
  }

  @Test func tablesOfAGeneratedClip() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.clip, "a.mkv")
    try writePeers(bench)
    let first = try run(
      bench, "--tables", "real,restore", "--json", bench.path("rows.json"), "--peers", bench.path("python"),
      "--peer-results", bench.path("known.json"))
    #expect(first.code == 0, "\(first.errors)")
    #expect(first.errors.contains("broken is left out: no such wheel"), "\(first.errors)")
    let made = try rows(bench, "rows.json")
    let kinds = ["clean", "web", "soft", "dvd", "old"]
    let names = [
      "bicubic", "Lanczos", "best FFmpeg chain", "double",
      "videnhance best, ensemble of 4, 4 bits", "videnhance best, 4 bits", "videnhance balanced, 4 bits",
      "videnhance fast, 4 bits",
    ]
    let real = made.filter { $0.table == "real" }
    #expect(real.map(\.kind) == kinds.flatMap { kind in names.map { _ in kind } })
    #expect(real.map(\.contender) == kinds.flatMap { _ in names })
    for row in made { #expect(row.frames == 5 && row.psnr ?? 0 > 15 && row.cpuSecondsPerFrame > 0, "\(row)") }
    for kind in kinds {
      let row = { name in try #require(real.first { $0.kind == kind && $0.contender == name }) }
      // The same upscaling by another program gives equal figures, but has its own time.
      let (ground, double) = (try row("bicubic"), try row("double"))
      #expect(double.psnr == ground.psnr && double.flicker == ground.flicker)
      #expect(double.cpuSecondsPerFrame == 0.25 && double.settings == "a script")
      let (chain, lanczos) = (try row("best FFmpeg chain"), try row("Lanczos"))
      #expect(chain.psnr ?? 0 >= lanczos.psnr ?? 100)
      #expect(first.output.contains("Real footage, sr x2: a.mkv, \(kind), 5 frames"))
    }
    #expect(Set(made.filter { $0.table == "restore" }.map(\.kind)) == ["crf33", "mpeg2q10"])
    #expect(first.output.contains("| double | +0.00 / "), "\(first.output)")
    // A second run without peers shows the stored results and only measures networks.
    let second = try run(
      bench, "--tables", "real", "--json", bench.path("again.json"), "--peer-results",
      bench.path("known.json"))
    #expect(second.code == 0, "\(second.errors)")
    let again = try rows(bench, "again.json")
    #expect(again.filter { $0.role != .network } == real.filter { $0.role != .network })
    #expect(again.map(\.psnr) == real.map(\.psnr))
    // Other frames need new measurements.
    let fewer = try run(
      bench, "--tables", "real", "--frames", "3", "--filters", "off", "--json", bench.path("fewer.json"),
      "--peer-results", bench.path("known.json"))
    #expect(fewer.code == 0, "\(fewer.errors)")
    let fewerRows = try rows(bench, "fewer.json")
    #expect(!fewerRows.isEmpty && fewerRows.allSatisfy { $0.frames == 3 && $0.role != .peer })
  }

  /// The commands in docs/lab/real-footage.md make the same inputs: upscaled, they give the same figures.
  @Test func documentedCommandsMakeTheSameClips() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.clip, "a.mkv")
    let run = try run(
      bench, "--tables", "real,restore", "--filters", "off", "--json", bench.path("rows.json"))
    #expect(run.code == 0, "\(run.errors)")
    let made = try rows(bench, "rows.json")
    let half = "-vf scale=iw/2:ih/2:flags=bicubic"
    let fixed = { (q: Int) in "-qmin \(q) -qmax \(q) -q:v \(q)" }
    try bench.ffmpeg("-i DIR/a.mkv \(half) -c:v ffv1", "clean.mkv")
    try bench.ffmpeg("-i DIR/a.mkv \(half) -c:v libx264 -crf 28 -threads 1", "web.mkv")
    try bench.ffmpeg("-i DIR/a.mkv \(half) -c:v mpeg2video \(fixed(7)) -g 15 -bf 2 -threads 1", "dvd.mkv")
    try bench.ffmpeg("-i DIR/a.mkv \(half) -c:v mpeg4 \(fixed(6)) -threads 1", "first.mkv")
    try bench.ffmpeg("-i DIR/first.mkv -vf gblur=sigma=0.5 -c:v libx264 -crf 27 -threads 1", "old.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -c:v libx264 -crf 33 -threads 1", "crf33.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -c:v mpeg2video \(fixed(10)) -g 15 -bf 2 -threads 1", "mpeg2q10.mkv")
    for kind in ["clean", "web", "dvd", "old", "crf33", "mpeg2q10"] {
      let row = try #require(made.first { $0.kind == kind && $0.role == .filter })
      try bench.ffmpeg("-i DIR/\(kind).mkv -vf scale=160:96:flags=bicubic -c:v ffv1", "large.mkv")
      let truth = try RealClip.frames(of: bench.path("a.mkv"), threads: 1)
      var meter = QualityMeter()
      for (frame, truth) in zip(try RealClip.frames(of: bench.path("large.mkv"), threads: 1), truth) {
        try meter.measure(frame, reference: truth)
      }
      #expect(meter.samples.count == 5 && abs((meter.psnr ?? 0) - (row.psnr ?? 100)) < 0.02, "\(kind)")
    }
  }

  @Test func refusals() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.clip, "a.mkv")
    try Data("{}".utf8).write(to: URL(fileURLWithPath: bench.path("rows.json")))
    try writePeers(bench)
    for (arguments, code, words) in [
      (["--tables", "unreal"], 64, "--tables are real, restore, sr2"),
      (["--tables", "real", "--vmaf-ffmpeg", "/bin/true"], 1, "lacks the filter libvmaf"),
      (["--tables", "real", "--peer-results", bench.path("rows.json")], 1, "rows.json holds no rows"),
      (["--tables", "real", "--peers", bench.path("none")], 1, "none: cannot be started"),
      (
        ["--tables", "real", "--peers", bench.path("python"), "--peer-names", "magic"], 1,
        "magic is not a peer for sr (hint: one of double, broken)"
      ),
    ] as [([String], Int32, String)] {
      let run = try Program.Run(
        ["bench", "quality", bench.path("a.mkv")] + arguments, directory: bench.directory
      )
      .finish()
      #expect(run.code == code && run.errors.contains(words) && run.output == "", "\(run.errors)")
    }
    #expect(bench.contents == ["a.mkv", "python", "rows.json"])
  }
}
