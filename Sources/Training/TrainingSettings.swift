// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
import Foundation
public import Tensors

/// Everything that defines a training run. Written into the weights' recipe.
public struct TrainingSettings: Codable, Hashable, Sendable {
  /// The network.
  public var architecture: Architecture
  /// Length of the whole run, resumed parts included.
  public var minutes: Double
  /// Length in steps instead, for runs to compare; nil counts minutes.
  public var steps: Int?
  /// Highest learning rate.
  public var learningRate: Float = 1e-3
  /// Windows in a step.
  public var batch = 8
  /// Parts of a batch that run side by side, one thread each. Part of the run's definition: sums are taken in this order.
  public var shards = 2
  /// Side of the ground truth in pixels.
  public var cropSize = 192
  /// Arithmetic.
  public var precision = FloatPrecision.fastest
  /// Seed of everything random.
  public var seed: UInt64 = 1
  /// How inputs are spoiled.
  public var degradation = Degradation()
  /// `CharbonnierLoss.relativeEpsilon` where it is not the architecture's own.
  public var relativeEpsilon: Float?
  /// Windows held in the pool, and made anew at each step.
  public var poolCapacity = 1500
  /// See `poolCapacity`.
  public var freshPerStep = 2
  /// Weights that the run started from, by name; empty for a random start.
  public var startedFrom = ""

  /// A run of `minutes` for a network.
  public init(architecture: Architecture, minutes: Double) {
    self.architecture = architecture
    self.minutes = minutes
    if architecture.scale == 1 { cropSize = 96 }
    if architecture.takesQuantizers {
      degradation.cleanShare = 0.25
      degradation.toldShare = 0.65
    }
  }

  /// Side of the pictures that windows are made from.
  public var sourceSize: Int {
    architecture.task == .interpolation ? cropSize + 2 * WindowMaker.motionMargin : cropSize
  }
  /// Side of a training window on the grid.
  public var gridSide: Int { cropSize / architecture.scale / 2 }
  /// Multiply-accumulates of a step: forward, and backward twice.
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
