// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation
internal import VideoIO

/// Makes frames between two source frames by a network for interpolation.
final class FrameInterpolator {
  private let network: any WindowNetwork
  private let blender: FrameBlender
  private let profile: WorkProfile?

  init(network: any WindowNetwork, threads: Int, profile: WorkProfile?) {
    self.network = network
    self.profile = profile
    blender = FrameBlender(threads: threads)
  }

  /// The frame of an instant. At the end of a scene, where `following` is `source` itself, and between equal frames,
  /// the source is shown again, untouched.
  func frame(
    at instant: InterpolationTimeline.Instant, from source: PreparedFrame, to following: PreparedFrame
  ) throws -> VideoFrame {
    let (first, second) = (try source.video, try following.video)
    let (seen, seenNext) = (try source.planar, try following.planar)
    if instant.position == 0 || following === source || seen.isEqual(to: seenNext) {
      // Captions are told once, with the source frame itself.
      let video = instant.position == 0 ? first : try first.withoutCaptions()
      return try video.retimed(
        presentationTimestamp: instant.presentationTimestamp, duration: instant.duration)
    }
    network.instant = instant.position
    let residual = try network.residual(window: [seen, seenNext])
    guard let motion = network.motion else { preconditionFailure("networks for interpolation find motion") }
    return try profile.measure("blend") {
      try blender.blend(
        first, second, motion: motion, warped: network.warped, adding: residual,
        presentationTimestamp: instant.presentationTimestamp, duration: instant.duration
      ).withoutCaptions()
    }
  }
}

extension PlanarFrame {
  fileprivate func isEqual(to other: PlanarFrame) -> Bool {
    memcmp(luma, other.luma, width * height * 3 / 2) == 0
  }
}
