// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// A network without layers: its residual is zero, so the output is the bicubic upscale. The baseline for
/// other networks.
package final class BicubicNetwork: WindowNetwork {
  /// The scale and the window; without layers.
  package let architecture: Architecture

  private let zero: Residual

  /// Creates a network for frames of `width` x `height`, both even.
  package init(width: Int, height: Int, scale: Int = 2, window: Int = 1) {
    architecture = Architecture(
      task: .superResolution, scale: scale, window: window, alignment: .none, encoderChannels: 8, channels: 8,
      blocks: 0)
    zero = Residual(gridWidth: width / 2, gridHeight: height / 2, channels: architecture.outputChannels)
    zero.values.update(repeating: 0, count: zero.gridWidth * zero.gridHeight * zero.channels)
  }

  /// Returns a residual of zeros.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction { Prediction(residual: zero) }
}
