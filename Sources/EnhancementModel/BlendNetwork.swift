// SPDX-License-Identifier: Apache-2.0
/// Motion compensation alone: a network for interpolation without layers. Its residual is zero, so the result is the blend of
/// the two frames, warped to the new instant.
package final class BlendNetwork: WindowNetwork {
  /// The window and the task; without layers.
  package let architecture: Architecture

  private let packer: WindowPacker
  private let zero: Residual

  /// Creates a network for frames of `width` x `height`, both even.
  package init(width: Int, height: Int, threads: Int) {
    architecture = Architecture(
      task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 8, channels: 8, blocks: 0
    )
    packer = WindowPacker(architecture, threads: threads)
    zero = Residual(gridWidth: width / 2, gridHeight: height / 2, channels: architecture.outputChannels)
    zero.values.update(repeating: 0, count: zero.gridWidth * zero.gridHeight * zero.channels)
  }

  /// Returns the alignment of the frames, and a residual of zeros.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction {
    let prepared = profile.measure("motion") { packer.prepare(window, at: instant, given: conditions) }
    return Prediction(residual: zero, alignment: prepared.alignment)
  }
}
