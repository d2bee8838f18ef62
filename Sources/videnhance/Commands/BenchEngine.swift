// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import Kernels
import Tensors
import Videnhance

/// Runs networks on request, so that measurements can alternate with those of other programs.
struct BenchEngine: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine",
    abstract:
      "Run networks as requested on standard input, for comparison with other runtimes (Benchmarks/peers.py).",
    discussion: """
      stack BITS THREADS [EDGE]   runs the reference stack once, first and last layer at 8 bits or EDGE, prints milliseconds
      network MODEL THREADS       runs a model on a window of the clip, prints milliseconds of network and of packing
      save MODEL FOLDER           writes frame<slot>.f32 and residual.f32 of that window (docs/reference/model-format.md, ONNX)
      memory                      prints the peak memory of the process so far in MB

      Stacks and networks are created when first named, run once unmeasured, and kept. Each input line yields one output line.
      """)

  @Option(help: "Clip from whose middle the windows are taken.", completion: .file()) var clip: String?

  func run() throws {
    var engine = EngineUnderTest(clip: clip)
    while let line = readLine() {
      let words = line.split(separator: " ").map(String.init)
      // Not `print`, which buffers when standard output is a pipe.
      if !words.isEmpty { FileHandle.standardOutput.write(Data((try engine.answer(words) + "\n").utf8)) }
    }
  }
}

/// The stacks and networks created so far.
private struct EngineUnderTest {
  let clip: String?
  private var stacks: [String: ReferenceStack] = [:]
  private var networks: [String: any WindowNetwork] = [:]
  private var windows: [Int: [PlanarFrame]] = [:]

  init(clip: String?) { self.clip = clip }

  mutating func answer(_ words: [String]) throws -> String {
    switch (words[0], words.count) {
    case ("stack", 3), ("stack", 4):
      guard let bits = Int(words[1]), let threads = Int(words[2]),
        let edge = Int(words.count > 3 ? words[3] : "8"),
        threads > 0, (2...8).contains(bits) || bits == 32, (2...8).contains(edge)
      else { break }
      let key = "\(bits) \(threads) \(edge)"
      let stack = try stacks[key] ?? ReferenceStack(bits: bits, edgeBits: edge, threads: threads)
      if stacks.updateValue(stack, forKey: key) == nil { _ = try stack.seconds() }
      return String(format: "%.3f %@", try stack.seconds() * 1e3, stack.algorithm)
    case ("network", 3):
      guard let threads = Int(words[2]), threads > 0 else { break }
      return try runNetwork(words[1], threads: threads)
    case ("save", 3):
      try save(words[1], in: words[2])
      return "saved"
    case ("memory", 1):
      return "\(ProcessUsage.now.peakMegabytes)"
    default: break
    }
    throw ValidationError(
      "'\(words.joined(separator: " "))' is not one of the lines that 'help bench engine' lists")
  }

  private mutating func window(_ length: Int) throws -> [PlanarFrame] {
    if let known = windows[length] { return known }
    guard let clip else { throw ValidationError("networks need --clip") }
    var result: [PlanarFrame] = []
    try ClipWindows(path: clip, length: length, limit: 1).forEach(threads: 1) { result = $0 }
    windows[length] = result
    return result
  }

  private mutating func network(_ model: String, threads: Int) throws -> any WindowNetwork {
    if let known = networks["\(model) \(threads)"] { return known }
    let path = try Inspect.path(of: model)
    let file = try Safetensors(path: path)
    let quantized = QuantizedModel.isQuantized(file) ? try QuantizedModel(file: file) : nil
    let weights = quantized == nil ? try NetworkWeights(file: file) : nil
    let frame = try window((quantized?.architecture ?? weights!.architecture).window)[0]
    let made: any WindowNetwork =
      try quantized.map { try IntegerNetwork($0, width: frame.width, height: frame.height, threads: threads) }
      ?? FloatNetwork(weights!, width: frame.width, height: frame.height, threads: threads)
    _ = try made.predict(try window(made.architecture.window))
    networks["\(model) \(threads)"] = made
    return made
  }

  private mutating func runNetwork(_ model: String, threads: Int) throws -> String {
    let network = try network(model, threads: threads)
    let profile = WorkProfile()
    _ = try network.predict(
      try window(network.architecture.window), at: BetweenMotion.unit / 2, given: WindowConditions(),
      profile: profile)
    let parts = profile.parts
    let packing = parts.filter { $0.name == "motion, packing" }.reduce(0) { $0 + $1.seconds }
    let computing = parts.reduce(0) { $0 + $1.seconds } - packing
    return String(format: "%.3f %.3f", computing * 1e3, packing * 1e3)
  }

  private mutating func save(_ model: String, in folder: String) throws {
    let network = try network(model, threads: 1)
    let window = try window(network.architecture.window)
    func write(_ values: [Float], _ name: String) throws {
      try values.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: "\(folder)/\(name).f32")) }
    }
    // Channel-major, as in ONNX.
    func planes(_ count: Int, _ value: (Int) -> Float) -> [Float] {
      let points = window[0].gridWidth * window[0].gridHeight
      return (0..<count * points).map { value($0 % points * count + $0 / points) }
    }
    let inputs = WindowPacker(network.architecture).floatInputs(window)
    for (slot, tensor) in inputs.enumerated() {
      try write(planes(tensor.channels) { tensor.pointer[$0] }, "frame\(slot)")
    }
    let residual = try network.predict(window).residual
    try write(
      planes(residual.channels) { Float(residual.values[$0]) / ResidualScale.unitsPerRange }, "residual")
  }
}
