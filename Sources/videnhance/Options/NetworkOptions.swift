// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline

/// Which network works.
struct NetworkOptions: ParsableArguments {
  @Option(help: "What is done: sr is super-resolution, twice the width and height.")
  var task = EnhancementTask.superResolution

  @Option(
    help: "Bits of weights and activations; 32 is floating point (default: 4, or what --model-file holds).")
  var bits: WeightBits?

  @Option(help: ArgumentHelp("Weights to use instead of those shipped.", valueName: "file"))
  var modelFile: String?

  /// Makes the network when the size of the frames is known.
  var factory: NetworkFactory {
    let (task, bits, modelFile) = (task, bits, modelFile)
    return { width, height, threads in
      try NetworkCatalog.network(
        task: task, bits: bits, modelFile: modelFile, width: width, height: height, threads: threads)
    }
  }
}
