// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import Foundation
package import Tensors

/// Everything that defines a training run. Written into the weights' recipe.
package struct TrainingSettings: Recipe, Codable, Hashable, Sendable {
  /// The network.
  package var architecture: Architecture
  /// Length of the run in minutes, including resumed parts.
  package var minutes: Double
  /// Length in steps instead, for comparable runs; nil uses minutes.
  package var steps: Int?
  /// How weights follow their gradients; nil, as in recipes from before there was a choice, is Adam.
  package var optimizer: OptimizerKind?
  /// Peak learning rate.
  package var learningRate: Float = 1e-3
  /// Windows per step.
  package var batch = 8
  /// Parts of a batch that run concurrently, one thread each. Affects results, because it determines the order of sums.
  package var shards = 2
  /// Side of the ground truth in pixels.
  package var cropSize = 192
  /// Arithmetic.
  package var precision = FloatPrecision.fastest
  /// Random seed.
  package var seed: UInt64 = 1
  /// How inputs are degraded.
  package var degradation = Degradation()
  /// `CharbonnierLoss.relativeEpsilon` if it differs from the architecture's default.
  package var relativeEpsilon: Float?
  /// `CharbonnierLoss.isRelative`; nil is false.
  package var hasRelativeLoss: Bool?
  /// Weight of `ContrastLoss` relative to squared errors; nil is 0.
  package var contrastWeight: Float?
  /// Size of the pool, and new windows per step.
  package var poolCapacity = 1500
  /// See `poolCapacity`.
  package var freshPerStep = 2
  /// Name of the weights that the run started from; empty for a random start.
  package var startedFrom = ""

  /// Creates settings for a run of `minutes`.
  package init(architecture: Architecture, minutes: Double) {
    self.architecture = architecture
    self.minutes = minutes
    if architecture.scale == 1 { cropSize = 96 }
    if architecture.takesQuantizers {
      degradation.cleanShare = 0.25
      degradation.quantizerShare = 0.65
      // Real footage is often smooth (docs/lab/training-log.md).
      degradation.photographShare = 0.3
      degradation.leastDetail = 0.2
    }
  }

  /// Side of the pictures from which windows are made.
  package var sourceSize: Int {
    architecture.task == .interpolation ? cropSize + 2 * WindowMaker.motionMargin : cropSize
  }
  /// Side of a training window on the grid.
  package var gridSide: Int { cropSize / architecture.scale / 2 }
  /// Multiply-accumulates per step: one forward and two for backward.
  package var operationsPerStep: Double {
    3 * Double(architecture.graph.operationsPerPoint) * Double(batch * gridSide * gridSide)
  }

  /// The settings as one line of JSON.
  package var recipe: String { json }
}
