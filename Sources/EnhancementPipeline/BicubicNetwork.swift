// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// A network that adds nothing: its output is the bicubic enlargement. The baseline that others are measured
/// by.
package final class BicubicNetwork: WindowNetwork {
  /// Scale and window as asked for; it has no layers worth speaking of.
  package let architecture: Architecture

  private let zero: Residual

  /// For frames of `width` x `height`, even.
  package init(width: Int, height: Int, scale: Int = 2, window: Int = 1) {
    architecture = Architecture(
      task: .superResolution, scale: scale, window: window, alignment: .none, encoderChannels: 8, channels: 8,
      blocks: 0)
    zero = Residual(gridWidth: width / 2, gridHeight: height / 2, channels: architecture.outputChannels)
    zero.values.update(repeating: 0, count: zero.gridWidth * zero.gridHeight * zero.channels)
  }

  /// Zeros.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction { Prediction(residual: zero) }
}
