// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import TestSupport
import Testing
import VideoIO

/// A source to make, and what may differ in its enhanced copy.
struct MatrixCase: Sendable, CustomTestStringConvertible {
  /// What is done to it.
  enum Work: Sendable {
    /// Denoising by a network that adds nothing.
    case identity
    /// Bicubic enlargement.
    case doubling
    /// So many frames of each one.
    case interpolation(Int)

    /// Enlargement.
    var scale: Int { if case .doubling = self { 2 } else { 1 } }
    /// Frames made of one.
    var lengths: Double { if case .interpolation(let factor) = self { Double(factor) } else { 1 } }
  }

  let name: String
  let input, output: String
  /// Arguments of ffmpeg; several make several files, the last one `input`.
  let make: [(arguments: String, file: String)]
  var work = Work.identity
  /// Whether it is in `make test`, too.
  var isShort = false
  /// Instead of a lossless encoder that the container takes.
  var encoder: EncoderSettings?
  /// Whether pictures are the same to the bit.
  var isLossless = true
  /// Whether the video has captions added by hand.
  var hasCaptions = false
  /// Beginnings of the lines about what is left out, and parts of the warnings.
  var leftOut: [String] = []
  var warnings: [String] = []
  /// Beginnings of the differences that are meant to be.
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

  /// A copy with some things set.
  func with(_ change: (inout MatrixCase) -> Void) -> MatrixCase {
    var copy = self
    change(&copy)
    return copy
  }

  /// Meant to differ in these, too, for a reason that readers are told.
  func differing(_ lines: String..., because _: String) -> MatrixCase {
    with { $0.intended += lines }
  }

  /// Also in `make test`.
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
    case .identity: [EnhancementStep { try zeroNetwork(.denoising, width: $0, height: $1, threads: $2) }]
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

/// A network of a task that has only zeros, so adds nothing.
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

/// Sources of all kinds, made by the ffmpeg program, enhanced by networks that add nothing; ffprobe judges what became of
/// everything else. `make test` does those marked as short, `make matrix` all.
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

    expect(summary.leftOut, of: item.name, like: item.leftOut, "left out") { $0.hasPrefix($1) }
    // What players show is a matter of the encoder, not of the source.
    let warnings = summary.warnings.filter { !$0.contains("few players show") }
    expect(warnings, of: item.name, like: item.warnings, "warned of") { $0.contains($1) }
    let left = Set(
      summary.leftOut.compactMap { line -> Int? in
        let words = line.split(separator: " ")
        return words.count > 1 && words[0] == "stream" && !line.contains("cut off") ? Int(words[1]) : nil
      })
    var judge = MatrixJudge(
      source: try Probe(bench, item.input), output: try Probe(bench, item.output), work: item.work,
      leftOut: left,
      isLossless: item.isLossless)
    #expect(judge.source.frames.count > 1)
    expect(judge.differences(), of: item.name, like: item.intended, "different") { $0.hasPrefix($1) }
  }

  /// Expects lines as told: each one fits, none is missing.
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

/// An MPEG-2 stream with closed captions (ATSC A/53) put before the slices of each picture.
func captioned(_ stream: [UInt8]) -> [UInt8] {
  var result: [UInt8] = []
  var (number, isInPicture) = (UInt8(0), false)
  for index in stream.indices {
    if index + 3 < stream.count, stream[index] == 0, stream[index + 1] == 0, stream[index + 2] == 1 {
      switch stream[index + 3] {
      case 0: isInPicture = true
      case 1 where isInPicture:
        // user_data, GA94, cc_data of one pair with both markers, 0xFF.
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
