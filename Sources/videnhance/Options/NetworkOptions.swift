// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
public import Videnhance
import VideoIO

/// Selects the network.
struct NetworkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Task: sr (super-resolution), restore (the same size without compression artefacts and softness), denoise (noise removal) or interp (frame interpolation); several, separated by commas, run in the given order.",
      valueName: "tasks"), completion: .custom { _, _, prefix in TaskList.completions(of: prefix) })
  var task = TaskList(tasks: [.superResolution])

  @Option(
    help:
      "Upscaling factor of sr for width and height: above 1 up to 16; a resampler does what the networks for 2 and 4 leave (default: 2, or that of --model-file)."
  )
  var scale: Double?

  @Option(
    help: ArgumentHelp(
      "Size of sr's output: 720p, 1080p, 1440p, 2160p or 4k, any number with p: the height, or the width of upright video. Pixels become square.",
      valueName: "size"), completion: .list(["720p", "1080p", "1440p", "2160p", "4k"]))
  var to: TargetSizeOption?

  @Option(help: "Height of sr's output as shown; the width follows. Pixels become square.") var height: Int?
  @Option(help: "Width of sr's output as shown; the height follows. Pixels become square.") var width: Int?

  @Option(
    help:
      "Noise that denoise removes: its standard deviation in 8-bit levels, 0 to 63, or auto to estimate it from the frames."
  )
  var noise = NoiseOption.auto

  @Option(
    help: ArgumentHelp(
      "How much of the noise denoise removes: what the level is multiplied by, 0 to 2; less keeps more of the grain and of fine detail (default: 1).",
      valueName: "factor"))
  var strength: Float?

  @Option(
    help: ArgumentHelp(
      "Sharpness of a source of real footage for sr and restore, 0 to 1: 1 if nothing blurred it, 0.3 if much did; lower values sharpen more (default: estimated from the frames).",
      valueName: "level"))
  var sharpness: Float?

  @Flag(
    help:
      "Leave still parts of the picture as the network makes them instead of averaging them with the adjacent frames, as denoise, and sr and restore of real footage do."
  )
  var noSmoothing = false

  @Option(help: "Output frames of interp per input frame: 2 to 64 (default: 2).")
  var factor: Int?

  @Option(help: "Output frame rate of interp, such as 50, 59.94 or 60000/1001; replaces --factor.")
  var fps: FrameRateOption?

  @Option(
    help:
      "Bits of the weights in the body of the network; activations there use as many codes as the integer kernel computes exactly, and the first and last layers stay at 8 bits; 32 is floating point (default: 4, or that of --model-file)."
  )
  var bits: NetworkBits?

  @Option(
    help:
      "Amount of computation per frame: fast, a third of balanced, without a network in interp; balanced; or best, twice of balanced, for sr and restore (default: balanced, fast for interp)."
  )
  var model: NetworkTier?

  @Option(
    help: ArgumentHelp(
      "Mirror images of each frame and its neighbours whose results are averaged: 1, 2 or 4. Each costs as much as the network alone (default: 1).",
      valueName: "images"))
  var ensemble: Ensemble?

  @Option(
    help: ArgumentHelp(
      "Kind of source: real (compressed, noisy or soft footage), clean (masters, renderings), or auto, which decides from the first frames.",
      valueName: "kind"))
  var source = SourceKind.auto

  @Option(
    help: ArgumentHelp("Weights to use instead of those shipped.", valueName: "file"), completion: .file())
  var modelFile: String?

  /// The steps to run, one per task.
  var steps: [EnhancementStep] {
    task.tasks.map { task in
      let rate = fps.map { InterpolationRate.framesPerSecond($0.rate) } ?? .factor(factor ?? 2)
      let conditions = WindowConditions(
        noiseLevel: noise.level, strength: strength ?? 1, sharpness: sharpness)
      var step = EnhancementStep.network(choice(task), given: conditions, rate: rate, goal: goal)
      step.smooths = !noSmoothing
      return step
    }
  }

  /// The scale of the network if its output has the size of `--scale`; otherwise nil: the model or the target size determines
  /// it. Some tiers have no network for x4: a resampler doubles the output of the one for x2.
  var networkScale: Int? {
    guard let scale else { return nil }
    return (model ?? .balanced).scales.first { Double($0) == scale }
  }

  /// The target size of super-resolution; nil if it is the size of the network's output.
  var goal: SizeGoal? {
    if let to { return .shortSide(to.lines) }
    if let height { return .height(height) }
    if let width { return .width(width) }
    return networkScale == nil ? scale.map { .factor($0) } : nil
  }

  /// The network for a task.
  func choice(_ task: EnhancementTask) -> NetworkChoice {
    let isEnlarging = task == .superResolution
    return NetworkChoice(
      task, scale: isEnlarging ? networkScale : nil, bits: bits,
      tier: task.tier(model),
      source: source, modelFile: modelFile, ensemble: ensemble ?? .one)
  }

  func validate() throws {
    let tasks = task.tasks
    try validateSize(tasks)
    if case .level = noise, !tasks.contains(.denoising) {
      throw ValidationError("--noise is for --task denoise")
    }
    if let strength {
      if !tasks.contains(.denoising) { throw ValidationError("--strength is for --task denoise") }
      if !(0...WindowConditions.mostStrength).contains(strength) {
        throw ValidationError("--strength must be 0...\(Int(WindowConditions.mostStrength))")
      }
    }
    if let sharpness {
      if !tasks.contains(where: \.takesSharpness) {
        throw ValidationError("--sharpness is for --task sr or restore")
      }
      if !(0...1).contains(sharpness) { throw ValidationError("--sharpness must be 0...1") }
    }
    if noSmoothing && tasks == [.interpolation] {
      throw ValidationError("--no-smoothing is for --task sr, restore or denoise")
    }
    if !tasks.contains(.interpolation) {
      if factor != nil { throw ValidationError("--factor is for --task interp") }
      if fps != nil { throw ValidationError("--fps is for --task interp") }
    }
    if factor != nil && fps != nil { throw ValidationError("--factor and --fps contradict each other") }
    if let factor, !(2...InterpolationRate.mostFactor).contains(factor) {
      throw ValidationError("--factor must be 2...\(InterpolationRate.mostFactor)")
    }
    if let model, !tasks.contains(where: { $0.tiers.contains(model) }) {
      throw ValidationError("--model \(model.rawValue) is for --task \(model.tasks)")
    }
    if model != nil && modelFile != nil {
      throw ValidationError("--model and --model-file contradict each other")
    }
    if source != .auto && modelFile != nil {
      throw ValidationError("--source and --model-file contradict each other")
    }
    if modelFile != nil && tasks.count > 1 { throw ValidationError("--model-file is for a single task") }
  }
}

extension NetworkOptions {
  /// Checks the options of the output's size.
  private func validateSize(_ tasks: [EnhancementTask]) throws {
    let given = [
      ("--scale", scale != nil), ("--to", to != nil), ("--height", height != nil), ("--width", width != nil),
    ].filter(\.1).map(\.0)
    if let first = given.first, !tasks.contains(.superResolution) {
      throw ValidationError("\(first) is for --task sr; \(task) keeps the size of frames")
    }
    if given.count > 1 {
      let reason =
        given == ["--height", "--width"]
        ? "the shape of the picture stays" : "each sets the size of the output"
      throw ValidationError("\(given[0]) and \(given[1]) contradict each other; \(reason)")
    }
    if let scale, !(scale > 1 && scale <= SizeGoal.mostFactor) {
      throw ValidationError("--scale must be above 1, up to \(Int(SizeGoal.mostFactor))")
    }
    for (name, value) in [("--height", height), ("--width", width)] {
      if let value, !(16...SizeGoal.most).contains(value) {
        throw ValidationError("\(name) must be 16...\(SizeGoal.most)")
      }
    }
  }
}

/// `--to`: lines of the picture, such as 1080p, or 4k.
struct TargetSizeOption: ExpressibleByArgument {
  /// Names of sizes.
  static let names = ["4k": 2160, "8k": 4320]
  let lines: Int

  init?(argument: String) {
    let word = argument.lowercased()
    guard let lines = Self.names[word] ?? (word.last == "p" ? Int(word.dropLast()) : nil),
      (16...SizeGoal.most).contains(lines)
    else { return nil }
    self.lines = lines
  }
}

/// `--task`: one task or several in a row.
struct TaskList: ExpressibleByArgument, CustomStringConvertible {
  var tasks: [EnhancementTask]

  init(tasks: [EnhancementTask]) { self.tasks = tasks }

  init?(argument: String) {
    let names = argument.split(separator: ",", omittingEmptySubsequences: false)
    let tasks = names.compactMap { EnhancementTask(argument: $0.trimmingCharacters(in: .whitespaces)) }
    guard !tasks.isEmpty, tasks.count == names.count, Set(tasks).count == tasks.count else { return nil }
    self.tasks = tasks
  }

  var description: String { tasks.map(\.rawValue).joined(separator: ",") }
  var defaultValueDescription: String { description }
  static var allValueStrings: [String] { EnhancementTask.allCases.map(\.rawValue) }

  /// Completions of a partly typed list: for each task not yet in it, the list with that task appended.
  static func completions(of prefix: String) -> [String] {
    ListCompletion.values(of: prefix, among: allValueStrings)
  }
}

/// Completes values that are lists with commas.
enum ListCompletion {
  /// Returns `names` behind those that are typed already, except these.
  static func values(of prefix: String, among names: [String]) -> [String] {
    let named = prefix.split(separator: ",", omittingEmptySubsequences: false).dropLast().map(String.init)
    return names.filter { !named.contains($0) }.map { (named + [$0]).joined(separator: ",") }
  }
}

/// `--fps`: a whole number, a fraction, or a broadcast rate in its usual decimal form.
struct FrameRateOption: ExpressibleByArgument {
  var rate: Rational

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count == 2, let numerator = Int32(parts[0]), let denominator = Int32(parts[1]) {
      rate = Rational(numerator, denominator)
    } else if let whole = Int32(argument) {
      rate = Rational(whole, 1)
    } else if let value = Double(argument), value.isFinite, value > 0, value < 1000 {
      // 23.976, 29.97, 59.94 and 119.88 mean 1000/1001 of a whole rate.
      let whole = value.rounded(.up)
      rate =
        abs(whole * 1000 / 1001 - value) < 0.006
        ? Rational(Int32(whole) * 1000, 1001) : Rational(Int32((value * 1000).rounded()), 1000)
    } else {
      return nil
    }
    guard rate.isPositive, (0.1...1000).contains(rate.doubleValue) else { return nil }
  }
}

/// `--noise`: a level, or auto.
enum NoiseOption: ExpressibleByArgument, Equatable {
  case auto
  case level(Float)

  init?(argument: String) {
    if argument == "auto" {
      self = .auto
    } else if let level = Float(argument), (0...NoiseLevel.most).contains(level) {
      self = .level(level)
    } else {
      return nil
    }
  }

  /// The level if one was given.
  var level: Float? {
    guard case .level(let level) = self else { return nil }
    return level
  }

  var defaultValueDescription: String {
    switch self {
    case .auto: "auto"
    case .level(let level): "\(level)"
    }
  }
}

extension NetworkBits: ExpressibleByArgument {}
extension Ensemble: ExpressibleByArgument {}
extension SourceKind: ExpressibleByArgument {}
extension NetworkTier: ExpressibleByArgument {}
