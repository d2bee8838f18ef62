// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport

/// The exit code and output of a run.
struct Outcome {
  let code: Int32
  let output: String
  let errors: String

  /// The lines on standard error.
  var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
}

/// The built program, in the same folder as the test bundle.
enum Program {
  static var url: URL {
    var folder = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
    // On macOS the bundle is a folder, and the tool that runs it is elsewhere.
    for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") { folder = bundle.bundleURL }
    return folder.deletingLastPathComponent().appendingPathComponent("videnhance")
  }

  /// A running program.
  final class Run {
    let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    init(
      _ arguments: [String], program: String = Program.url.path, directory: URL? = nil,
      environment: [String: String] = [:]
    ) throws {
      process.executableURL = URL(fileURLWithPath: program)
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
      process.arguments = arguments
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = output
      process.standardError = errors
      process.currentDirectoryURL = directory
      try process.run()
    }

    /// Waits for the end of the run.
    func finish() -> Outcome {
      let text = [output, errors].map {
        String(decoding: $0.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      }
      process.waitUntilExit()
      // Report signals like shells do.
      let isExit = process.terminationReason == .exit
      return Outcome(code: process.terminationStatus + (isExit ? 0 : 128), output: text[0], errors: text[1])
    }
  }

  /// Runs the program to completion.
  static func run(_ arguments: String..., directory: URL? = nil) throws -> Outcome {
    try Run(arguments, directory: directory).finish()
  }
}

extension Workbench {
  /// Creates a short video, `in.mkv`.
  func makeVideo(_ name: String = "in.mkv", size: String = "96x64", seconds: Double = 0.4) throws -> String {
    try ffmpeg("-f lavfi -i testsrc2=size=\(size):rate=25:duration=\(seconds) -c:v ffv1", name)
  }

  /// Creates a small network that adds nothing: its output is bicubic.
  func makeModel(_ name: String = "zero.safetensors") throws -> String {
    let architecture = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .none, encoderChannels: 8, channels: 8,
      blocks: 1)
    let layers = architecture.graph.layers
    let weights = NetworkWeights(
      architecture: architecture, weights: layers.map { [Float](repeating: 0, count: $0.weightCount) },
      biases: layers.map { [Float](repeating: 0, count: $0.outputChannels) }, recipe: "zeros")
    try weights.file.write(path: path(name))
    return path(name)
  }
}
