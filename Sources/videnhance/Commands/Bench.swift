// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import Kernels
import Tensors
import Training

/// Measures quality and speed on this machine.
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure quality and speed on this machine.",
    discussion: "Example: videnhance bench kernels --threads 2",
    subcommands: [
      BenchQuality.self, BenchCalibration.self, BenchKernels.self, BenchEngine.self, BenchTraining.self,
    ])
}

/// Times the integer kernels.
struct BenchKernels: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Time one 64 -> 64 3x3 layer at 480x270 at each bit width, relative to the machine's peak.",
    discussion:
      "Rounds of all widths alternate, and medians are printed; every result is compared bit for bit with the scalar kernel."
  )

  @Option(help: "Number of threads.") var threads: Int = 1
  @Option(help: "Rounds.") var rounds: Int = 9
  @Option(help: "Instruction set (default: the best).") var isa: InstructionSet?

  func validate() throws {
    if threads < 1 || rounds < 1 { throw ValidationError("--threads and --rounds must be positive") }
    try isa?.validate()
  }

  func run() throws {
    let names = InstructionSet.supported.map(\.name)
    var benchmark = KernelBenchmark()
    benchmark.threads = threads
    benchmark.rounds = rounds
    if let isa { benchmark.instructionSet = isa }
    print("instruction sets: \(names.joined(separator: ", ")); using \(benchmark.instructionSet.name)")
    let result = benchmark.run()
    // Sets without an instruction for products of 8 bits have no such peak.
    if result.peak > 0 {
      let instruction = benchmark.instructionSet == .amx ? "tile" : "dot"
      print("peak of 8-bit \(instruction) products: ", terminator: "")
      print(String(format: "%.0f GMAC/s on %@", result.peak, counted(threads, "thread")))
    }
    for row in result.rows {
      let share =
        result.peak > 0 ? String(format: "%5.0f %% of peak", 100 * row.gigaOperations / result.peak) : ""
      print(
        row.name.padding(toLength: 20, withPad: " ", startingAt: 0)
          + row.algorithm.padding(toLength: 14, withPad: " ", startingAt: 0)
          + String(format: "%7.2f ms %7.0f GMAC/s ", row.milliseconds, row.gigaOperations) + share
          + (row.isExact ? "  equal to scalar" : "  DIFFERS FROM SCALAR"))
    }
    if result.rows.contains(where: { !$0.isExact }) { throw ExitCode.failure }
  }
}

/// Times training steps.
struct BenchTraining: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "training",
    abstract: "Time a training step of the default network (Benchmarks/training_step.py is the reference).")

  @Option(help: "Rounds.") var rounds: Int = 15
  @Option(help: "Arithmetic: f32 or bf16 (default: the faster one, measured).") var precision: FloatPrecision?

  func validate() throws {
    if rounds < 1 { throw ValidationError("--rounds must be positive") }
  }

  func run() throws {
    var settings = TrainingSettings(architecture: .balancedSuperResolution, minutes: 1)
    if let precision { settings.precision = precision }
    let seconds = try TrainingBenchmark(settings: settings).seconds(rounds: rounds).sorted()
    let median = seconds[seconds.count / 2]
    print(
      String(
        format: "videnhance, oneDNN %@, %@, %d shards: %.1f ms a step, %.0f GMAC/s", oneDNNVersion,
        settings.precision.rawValue, settings.shards, median * 1e3, settings.operationsPerStep / median / 1e9)
    )
  }
}
