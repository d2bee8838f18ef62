// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline

/// Which network works.
struct NetworkOptions: ParsableArguments {
  @Option(help: "What is done: sr is super-resolution, denoise removes noise.")
  var task = EnhancementTask.superResolution

  @Option(help: "Enlargement of width and height by sr: 2 or 4 (default: 2, or what --model-file holds).")
  var scale: Int?

  @Option(
    help: "Noise that denoise removes: its standard deviation in 8-bit levels, 0 to 63, or auto, told by the frames.")
  var noise = NoiseOption.auto

  @Option(
    help: "Bits of weights and activations; 32 is floating point (default: 4, or what --model-file holds).")
  var bits: WeightBits?

  @Option(help: ArgumentHelp("Weights to use instead of those shipped.", valueName: "file"))
  var modelFile: String?

  /// Makes the network when the size of the frames is known.
  var factory: NetworkFactory {
    let (task, scale, bits, modelFile, noise) = (task, scale, bits, modelFile, noise)
    return { width, height, threads in
      let network = try NetworkCatalog.network(
        task: task, scale: scale, bits: bits, modelFile: modelFile, width: width, height: height, threads: threads)
      if case .level(let level) = noise { network.noiseLevel = level }
      return network
    }
  }

  func validate() throws {
    if let scale, task == .superResolution && scale != 2 && scale != 4 {
      throw ValidationError("--scale must be 2 or 4")
    }
    if let scale, task != .superResolution && scale != 1 {
      throw ValidationError("--scale is for --task sr; \(task.rawValue) keeps the size of frames")
    }
    if case .level = noise, task != .denoising { throw ValidationError("--noise is for --task denoise") }
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

  var defaultValueDescription: String {
    switch self {
    case .auto: "auto"
    case .level(let level): "\(level)"
    }
  }
}
