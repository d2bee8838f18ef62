// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import QualityReport
import Videnhance

/// Options that only apply to the tables of real footage and those with peers.
struct RealFootageOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A Python with the wheels of Benchmarks/requirements.txt: also measures other programs' networks, on the CPU.",
      valueName: "python"), completion: .file())
  var peers: String?
  @Option(
    help: ArgumentHelp(
      "Peers to measure, separated by commas (default: all in Benchmarks/video_peers.py).",
      valueName: "list"))
  var peerNames: String?
  @Option(
    help: ArgumentHelp(
      "Cache for the rows of peers and filters; rows of the same frames are not measured again.",
      valueName: "file"), completion: .file())
  var peerResults: String?
  @Option(
    name: .customLong("vmaf-ffmpeg"),
    help: ArgumentHelp(
      "An ffmpeg with libvmaf for VMAF NEG (default: VIDENHANCE_VMAF_FFMPEG, that of the peers, or the one in PATH).",
      valueName: "program"), completion: .file())
  var vmafFFmpeg: String?
  @Option(
    help: ArgumentHelp("Also write all rows of real and restore as JSON.", valueName: "file"),
    completion: .file()) var json: String?

  /// The peers; nil if no Python interpreter is given.
  func makePeers(threads: Int) throws -> VideoPeers? {
    try peers.map { python in
      try VideoPeers(
        python: python, names: peerNames?.split(separator: ",").map(String.init), threads: threads)
    }
  }

  /// Measures and prints tables.
  func run(
    _ tables: [RealTable], clips paths: [String], frames: Int, bits: [NetworkBits], filters: Switch,
    threads: Int,
    folder: String
  ) async throws {
    let peers = try makePeers(threads: threads)
    if tables.contains(.real) { try await peers?.check(for: .superResolution, folder: folder) }
    let known = try RealRowFile(path: peerResults)
    let bundled = try? await peers?.ffmpeg(folder: folder)
    let vmaf = try await VMAF.find(
      named: vmafFFmpeg, others: [bundled].compactMap { $0 }, folder: folder)
    if vmaf == nil { Console.warning("no ffmpeg with libvmaf was found: no VMAF NEG (hint: --vmaf-ffmpeg)") }
    let clips = try paths.enumerated().map { index, path in
      try RealClip(path, frames: frames, to: folder + "/truth\(index).mkv", threads: threads)
    }
    var work = RealFootageRun(
      clips: clips, bits: bits, threads: threads, sweepsFilters: filters == .on, peers: peers, vmaf: vmaf,
      folder: folder, known: known)
    var rows: [RealRow] = []
    for table in tables { rows += try await work.measure(table) { print($0) } }
    if let json { try RealRowFile.write(rows, to: json) }
  }
}
