// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
import Foundation
public import Tensors

/// Everything that defines a training run. Written into the weights' recipe.
public struct TrainingSettings: Codable, Hashable, Sendable {
  /// The network.
  public var architecture: Architecture
  /// Length of the run in minutes, including resumed parts.
  public var minutes: Double
  /// Length in steps instead, for comparable runs; nil uses minutes.
  public var steps: Int?
  /// Peak learning rate.
  public var learningRate: Float = 1e-3
  /// Windows per step.
  public var batch = 8
  /// Parts of a batch that run concurrently, one thread each. Affects results, because it determines the order of sums.
  public var shards = 2
  /// Side of the ground truth in pixels.
  public var cropSize = 192
  /// Arithmetic.
  public var precision = FloatPrecision.fastest
  /// Random seed.
  public var seed: UInt64 = 1
  /// How inputs are degraded.
  public var degradation = Degradation()
  /// `CharbonnierLoss.relativeEpsilon` if it differs from the architecture's default.
  public var relativeEpsilon: Float?
  /// Size of the pool, and new windows per step.
  public var poolCapacity = 1500
  /// See `poolCapacity`.
  public var freshPerStep = 2
  /// Name of the weights that the run started from; empty for a random start.
  public var startedFrom = ""

  /// Creates settings for a run of `minutes`.
  public init(architecture: Architecture, minutes: Double) {
    self.architecture = architecture
    self.minutes = minutes
    if architecture.scale == 1 { cropSize = 96 }
    if architecture.takesQuantizers {
      degradation.cleanShare = 0.25
      degradation.toldShare = 0.65
    }
  }

  /// Side of the pictures from which windows are made.
  public var sourceSize: Int {
    architecture.task == .interpolation ? cropSize + 2 * WindowMaker.motionMargin : cropSize
  }
  /// Side of a training window on the grid.
  public var gridSide: Int { cropSize / architecture.scale / 2 }
  /// Multiply-accumulates per step: one forward and two for backward.
  public var operationsPerStep: Double {
    3 * Double(architecture.graph.operationsPerPoint) * Double(batch * gridSide * gridSide)
  }

  /// The settings as one line of JSON.
  public var recipe: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
