// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import TestSupport
import Testing
import VideoIO

/// A source to create, and the differences allowed in its enhanced copy.
struct MatrixCase: Sendable, CustomTestStringConvertible {
  /// The processing.
  enum Work: Sendable {
    /// Denoising with a network that adds nothing.
    case identity
    /// Bicubic upscaling.
    case doubling
    /// This many frames for each source frame.
    case interpolation(Int)

    /// Scale factor.
    var scale: Int { if case .doubling = self { 2 } else { 1 } }
    /// Output frames per source frame.
    var lengths: Double { if case .interpolation(let factor) = self { Double(factor) } else { 1 } }
  }

  let name: String
  let input, output: String
  /// Arguments of ffmpeg; several entries create several files, of which the last is `input`.
  let make: [(arguments: String, file: String)]
  var work = Work.identity
  /// Whether the case is part of `make test`.
  var isShort = false
  /// Used instead of a lossless encoder supported by the container.
  var encoder: EncoderSettings?
  /// Whether pictures are bit-exact.
  var isLossless = true
  /// Whether captions are added to the video.
  var hasCaptions = false
  /// Beginnings of the lines about missing streams, and parts of the warnings.
  var leftOut: [String] = []
  var warnings: [String] = []
  /// Beginnings of the expected differences.
  var intended: [String] = []

  var testDescription: String { name }

  init(_ name: String, _ input: String, _ output: String, _ arguments: String) {
    self.init(name, input, output, [(arguments, input)])
  }

  init(_ name: String, _ input: String, _ output: String, _ make: [(arguments: String, file: String)]) {
    self.name = name
    self.input = input
    self.output = output
    self.make = make
  }

  /// Returns a copy with changed properties.
  func with(_ change: (inout MatrixCase) -> Void) -> MatrixCase {
    var copy = self
    change(&copy)
    return copy
  }

  /// Returns a copy with further expected differences, and the reason for readers.
  func differing(_ lines: String..., because _: String) -> MatrixCase {
    with { $0.intended += lines }
  }

  /// Returns a copy that is part of `make test`.
  var short: MatrixCase { with { $0.isShort = true } }

  /// The encoder of the case.
  var settings: EncoderSettings {
    if let encoder { return encoder }
    switch output.split(separator: ".").last {
    case "mp4", "mov", "ts":
      return EncoderSettings(codec: "libx264", preset: "ultrafast", options: ["qp": "0"])
    case "webm":
      return EncoderSettings(
        codec: "libvpx-vp9", options: ["lossless": "1", "deadline": "realtime", "cpu-used": "8"])
    default: return EncoderSettings(codec: "ffv1")
    }
  }

  /// The steps of the job.
  var steps: [EnhancementStep] {
    switch work {
    case .identity: [identityStep()]
    case .doubling:
      [EnhancementStep { width, height, _ in BicubicNetwork(width: width, height: height, window: 3) }]
    case .interpolation(let factor):
      [
        EnhancementStep(rate: .factor(factor)) {
          try zeroNetwork(.interpolation, width: $0, height: $1, threads: $2)
        }
      ]
    }
  }
}

/// Creates a network of zeros for a task, which adds nothing.
func zeroNetwork(_ task: EnhancementTask, width: Int, height: Int, threads: Int) throws -> FloatNetwork {
  let architecture = Architecture(
    task: task, scale: 1, window: task == .interpolation ? 2 : 3, alignment: .block, encoderChannels: 8,
    channels: 8,
    blocks: 0)
  let layers = architecture.graph.layers
  let weights = NetworkWeights(
    architecture: architecture, weights: layers.map { [Float](repeating: 0, count: $0.weightCount) },
    biases: layers.map { [Float](repeating: 0, count: $0.outputChannels) }, recipe: "zeros")
  return try FloatNetwork(weights, width: width, height: height, threads: threads)
}

/// Enhances sources of all kinds, created by the ffmpeg program, with networks that add nothing, and examines
/// the copies with ffprobe. `make test` runs the short cases, `make matrix` all of them.
@Suite struct MatrixTests {
  static let isFull = ProcessInfo.processInfo.environment["VIDENHANCE_MATRIX"] == "full"
  static let cases = MatrixCase.all.filter { isFull || $0.isShort }

  @Test(arguments: cases)
  func nothingElseChanges(_ item: MatrixCase) async throws {
    let bench = try Workbench()
    try makeSideFiles(in: bench)
    for (arguments, file) in item.make {
      try bench.ffmpeg(arguments, file)
      if item.hasCaptions, file.hasSuffix(".m2v") {
        let url = URL(fileURLWithPath: bench.path(file))
        try Data(captioned([UInt8](try Data(contentsOf: url)))).write(to: url)
      }
    }
    let job = EnhancementJob(
      input: bench.path(item.input), output: bench.path(item.output), encoder: item.settings,
      options: .init(threads: 2), steps: item.steps)
    let summary = try await job.run()

    expect(summary.leftOut.map(\.description), of: item.name, like: item.leftOut, "left out") {
      $0.hasPrefix($1)
    }
    // What players show is a matter of the encoder, not of the source.
    let warnings = summary.warnings.map(\.description).filter { !$0.contains("few players support") }
    expect(warnings, of: item.name, like: item.warnings, "warned of") { $0.contains($1) }
    let left = Set(
      summary.leftOut.compactMap { remark -> Int? in
        guard case .stream(let index) = remark.kind, !remark.description.contains("cut off") else {
          return nil
        }
        return index
      })
    var judge = MatrixJudge(
      source: try Probe(bench, item.input), output: try Probe(bench, item.output), work: item.work,
      leftOut: left,
      isLossless: item.isLossless)
    #expect(judge.source.frames.count > 1)
    expect(judge.differences(), of: item.name, like: item.intended, "different") { $0.hasPrefix($1) }
  }

  /// Checks that each expected line occurs and that there are no others.
  private func expect(
    _ lines: [String], of name: String, like wanted: [String], _ what: String, fits: (String, String) -> Bool
  ) {
    for line in lines where !wanted.contains(where: { fits(line, $0) }) {
      Issue.record("\(name): \(what): \(line)")
    }
    for text in wanted where !lines.contains(where: { fits($0, text) }) {
      Issue.record("\(name): not \(what): \(text), only \(lines)")
    }
  }

  @Test func theMatrixIsLarge() {
    #expect(MatrixCase.all.count >= 60)
    #expect(MatrixCase.all.filter(\.isShort).count >= 12)
    #expect(Set(MatrixCase.all.map(\.name)).count == MatrixCase.all.count)
  }

  private func makeSideFiles(in bench: Workbench) throws {
    let files = [
      "s.srt": "1\n00:00:00,080 --> 00:00:00,200\nHello\n\n2\n00:00:00,240 --> 00:00:00,440\nthere\n",
      "font.ttf": "not really a font",
      "meta.txt": """
      ;FFMETADATA1
      title=A film
      artist=Somebody
      comment=Two words
      date=1999
      [CHAPTER]
      TIMEBASE=1/1000
      START=0
      END=200
      title=One
      [CHAPTER]
      TIMEBASE=1/1000
      START=200
      END=480
      title=Two

      """,
    ]
    for (name, text) in files { try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path(name))) }
  }
}

/// Inserts closed captions (ATSC A/53) before the slices of each picture of an MPEG-2 stream.
func captioned(_ stream: [UInt8]) -> [UInt8] {
  var result: [UInt8] = []
  var (number, isInPicture) = (UInt8(0), false)
  for index in stream.indices {
    if index + 3 < stream.count, stream[index] == 0, stream[index + 1] == 0, stream[index + 2] == 1 {
      switch stream[index + 3] {
      case 0: isInPicture = true
      case 1 where isInPicture:
        // user_data, GA94, cc_data with one pair and both markers, 0xFF.
        result += [
          0, 0, 1, 0xB2, 0x47, 0x41, 0x39, 0x34, 3, 0x41, 0xFF, 0xFC, 0x80 | 0x20 | number % 32, 0x80, 0xFF,
        ]
        (number, isInPicture) = (number + 1, false)
      default: break
      }
    }
    result.append(stream[index])
  }
  return result
}
