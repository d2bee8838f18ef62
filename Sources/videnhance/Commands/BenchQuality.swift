// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import QualityReport
import Videnhance
import VideoIO

/// Makes the quality tables: degraded clips, restored by networks and by FFmpeg's filters.
struct BenchQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quality",
    abstract: "Measure the shipped networks against FFmpeg's filters on clips: luma PSNR, as a table.",
    discussion: """
      Example: videnhance bench quality data-test/bikes.mp4 data-test/bigbuckbunny.mp4

      Each clip is reduced to at most 640 samples wide (bicubic), then degraded: scaled to a half or a quarter, given Gaussian \
      noise of 10 or 30 levels, or stripped of every second frame. The results of networks and filters are compared with the \
      clip. For denoising filters the best of a few strengths is shown. The clips of Scripts/fetch-test.sh are never trained on.

      The tables real and restore degrade the clips with real encoders, like real footage (docs/lab/real-footage.md), and also \
      measure SSIM, flicker, VMAF NEG and processor time: 40 frames at 4 bits by default.
        videnhance bench quality data-test/bikes.mp4 --tables real,restore \\
            --peers .build-bench/peers/bin/python
      """)

  @Argument(help: "Clips.", completion: .file()) var clips: [String]
  @Option(
    help: ArgumentHelp(
      "Bit widths of the networks, separated by commas (default: 32,8,6,4,3,2; real and restore: 4).",
      valueName: "list"),
    completion: .custom { _, _, prefix in BitsList.completions(of: prefix) })
  var bits: BitsList?
  @Option(
    help: ArgumentHelp(
      "Tables, separated by commas: real, restore, sr2, sr4, fast, denoise10, denoise30, interp.",
      valueName: "list"),
    completion: .custom { _, _, prefix in ListCompletion.values(of: prefix, among: Self.tableNames) })
  var tables = "sr2,fast,sr4,denoise10,denoise30,interp"
  @Option(help: "Whether to measure FFmpeg's filters as well: on or off; bm3d is the slowest.")
  var filters = Switch.on
  @Option(help: "Frames per clip; 0 is all (default: all; real and restore: 40).") var frames: Int?
  @Option(help: "Number of threads (default: one per core).") var threads: Int?
  @OptionGroup var real: RealFootageOptions

  func validate() throws {
    if let frames, frames < 0 { throw ValidationError("--frames must be 0 or more") }
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
    for name in tables.split(separator: ",") where !Self.tableNames.contains(String(name)) {
      throw ValidationError("--tables are \(Self.tableNames.joined(separator: ", "))")
    }
  }

  private static let tableNames = RealTable.allCases.map(\.rawValue) + QualityTable.allCases.map(\.rawValue)

  private var threadCount: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }

  func run() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-quality-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let names = tables.split(separator: ",").map(String.init)
    let realTables = names.compactMap(RealTable.init)
    if !realTables.isEmpty {
      try await Interrupt.cancelling {
        try await real.run(
          realTables, clips: self.clips, frames: frames ?? 40, bits: bits?.bits ?? [.four], filters: filters,
          threads: threadCount, folder: folder.path)
      }
    }
    let tables = names.compactMap(QualityTable.init)
    if tables.isEmpty { return }
    let clips = try self.clips.enumerated().map { index, path in
      (
        name: URL(fileURLWithPath: path).lastPathComponent,
        path: try Self.prepare(path, to: folder.path + "/clip\(index).mkv", frames: frames ?? 0)
      )
    }
    let peers = try real.makePeers(threads: threadCount)
    for table in tables {
      try await Interrupt.cancelling { try await print(table, clips, peers: peers, folder: folder.path) }
    }
  }

  /// Writes the first frames of a clip, at most 640 wide, losslessly.
  private static func prepare(_ path: String, to output: String, frames limit: Int) throws -> String {
    var frames = try FileFrames(
      path: path, filter: "scale=min(640\\,iw):-4:flags=bicubic,crop=trunc(iw/8)*8:trunc(ih/8)*8:0:0")
    let info = frames.info
    var writer: VideoWriter?
    var count = 0
    while let (frame, _) = try frames.next(), limit == 0 || count < limit {
      if writer == nil {
        writer = try VideoWriter(
          path: output, like: info, width: frame.width, height: frame.height, format: frame.format,
          settings: EncoderSettings(codec: "ffv1"))
      }
      try writer?.write(frame)
      count += 1
    }
    guard let finished = writer.take() else { throw CompareError(detail: "no frames in \(path)") }
    try finished.finish()
    return output
  }

  private func print(
    _ table: QualityTable, _ clips: [(name: String, path: String)], peers: VideoPeers?, folder: String
  ) async throws {
    // The peers of super-resolution are in the tables of real footage.
    let names =
      table.task == .superResolution ? [] : try await peers?.names(of: table.task, folder: folder) ?? []
    var header: [String] = []
    var rows: [String] = []
    for clip in clips {
      let input = folder + "/input.mkv"
      defer { try? FileManager.default.removeItem(atPath: input) }
      let given = try DegradedInput.write(
        clip.path, to: input, tasks: [table.task], scale: table.scale, level: table.level, frames: nil,
        threads: threadCount)
      var run = ComparisonRun(input: input, reference: clip.path, threads: threadCount, frameLimit: nil)
      run.givenTimes = given
      let info = try VideoReader(path: clip.path).info
      let rate = info.averageFrameRate.isPositive ? info.averageFrameRate : Rational(25, 1)
      var cells: [(name: String, value: String)] = []
      for baseline in filters == .on ? table.baselines(rate: rate) : [] {
        var best: (psnr: Double, filter: String)?
        for filter in baseline.filters {
          do {
            let result = try await run.measure(Contender(name: baseline.name, source: .filter(filter)))
            if let psnr = result.psnr, psnr > best?.psnr ?? -1 { best = (psnr, filter) }
          } catch is CompareError {
            // Some filters drop the last frames of a clip, and very short clips have no others.
            Console.warning(
              "\(clip.name): \(baseline.name) is left out: it makes no frame to compare (hint: more --frames)"
            )
          }
        }
        cells.append((baseline.name, best.map { String(format: "%.2f", $0.psnr) } ?? "-"))
      }
      for name in names {
        cells.append((name, try await peerFigure(name, table, run, peers: peers, folder: folder)))
      }
      if table.task == .interpolation {
        let step = EnhancementStep.network(NetworkChoice(.interpolation, tier: .fast))
        let result = try await run.measure(Contender(name: "motion alone", source: .network([step])))
        cells.append(("motion alone", ComparisonOutput.decibels(result.psnr)))
      }
      for bits in bits?.bits ?? Self.allBits {
        let choice = table.choice(bits)
        let contender = Contender(
          name: "\(bits.rawValue) bits", bits: bits.rawValue, source: .network([.network(choice)]))
        let result = try await run.measure(contender)
        cells.append((contender.name, ComparisonOutput.decibels(result.psnr)))
      }
      header = cells.map(\.name)
      rows.append("| \(clip.name) | " + cells.map(\.value).joined(separator: " | ") + " |")
    }
    Swift.print("\(table.title)\n")
    Swift.print("| clip | " + header.joined(separator: " | ") + " |")
    Swift.print("|---" + String(repeating: "|---", count: header.count) + "|")
    Swift.print(rows.joined(separator: "\n") + "\n")
  }

  private static let allBits: [NetworkBits] = [.float, .eight, .six, .four, .three, .two]

  /// The result of a peer; if it fails, this prints a warning and leaves the cell empty.
  private func peerFigure(
    _ name: String, _ table: QualityTable, _ run: ComparisonRun, peers: VideoPeers?, folder: String
  ) async throws -> String {
    do {
      let made = try await peers?.run(
        name, on: run.input, isSpoiled: true, level: table.level, folder: folder)
      guard let made else { return "-" }
      let result = try await run.measure(Contender(name: name, source: .file(made.path)))
      return ComparisonOutput.decibels(result.psnr)
    } catch let error as OtherProgramError {
      Console.warning("\(name) is left out: \(error.detail)")
      return "-"
    }
  }
}

/// One of the tables.
private enum QualityTable: String, CaseIterable {
  case sr2, fast, sr4, denoise10, denoise30, interp

  var task: EnhancementTask {
    switch self {
    case .sr2, .fast, .sr4: .superResolution
    case .denoise10, .denoise30: .denoising
    case .interp: .interpolation
    }
  }

  var scale: Int { self == .sr4 ? 4 : 2 }
  var level: Float { self == .denoise10 ? 10 : 30 }

  var title: String {
    switch self {
    case .sr2: "Super-resolution x2, balanced"
    case .fast: "Super-resolution x2, fast"
    case .sr4: "Super-resolution x4"
    case .denoise10: "Denoising, Gaussian noise of 10 levels on all planes"
    case .denoise30: "Denoising, Gaussian noise of 30 levels on all planes"
    case .interp: "Interpolation, every second frame; only made frames are measured"
    }
  }

  func choice(_ bits: NetworkBits) -> NetworkChoice {
    NetworkChoice(
      task, scale: task == .superResolution ? scale : nil, bits: bits, tier: self == .fast ? .fast : .balanced
    )
  }

  /// Both steps of BM3D. Its sigma is not in levels: 3.5 to 5.5 times the noise level works best. Blocks are not grouped:
  /// with groups, FFmpeg's filter took twenty times as long and removed less.
  private static func twoStepBM3D(sigma: Int) -> String {
    "split[a][b];[a]bm3d=sigma=\(sigma)[basic];[b][basic]bm3d=sigma=\(sigma):estim=final:ref=1"
  }

  /// FFmpeg's filters, each with the strengths to try.
  func baselines(rate: Rational) -> [(name: String, filters: [String])] {
    func known(_ name: String) -> (String, [String]) {
      let filter = BaselineCatalog.filter(name, task: task, scale: scale, level: level, rate: rate)
      return (name, filter.map { [$0] } ?? [])
    }
    switch task {
    case .superResolution: return [known("bicubic"), known("lanczos")]
    case .interpolation: return [known("repeat"), known("blend"), known("minterpolate")]
    case .restoration: return [("decoded", ["null"])]
    case .denoising:
      let isWeak = level < 20
      return [
        ("noisy", ["null"]),
        ("hqdn3d", (isWeak ? [4, 8, 12] : [8, 16, 32]).map { "hqdn3d=\($0)" }),
        ("nlmeans", (isWeak ? [6, 10, 14] : [15, 20, 25]).map { "nlmeans=s=\($0):p=7:r=15" }),
        ("bm3d", (isWeak ? [35, 45, 55] : [110, 140, 170]).map(Self.twoStepBM3D)),
      ]
    }
  }
}
