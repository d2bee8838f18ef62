// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation
internal import Kernels
internal import VideoIO

/// A frame to be made.
struct FrameInstant: Equatable {
  /// In ticks of the output's time base.
  var presentationTimestamp, duration: Int64
  /// Where it lies between the window's centre and the frame after it, of `FrameMotion.unit`; 0 is the centre itself.
  var position = 0
}

/// Makes the output frames of a step from windows of its input, by a network. Belongs to one task.
protocol FrameMaker {
  /// The video that comes out.
  var shape: VideoShape { get }
  /// Whether a frame may be shown twice where the source moves.
  var repeatsFrames: Bool { get }

  /// The frames to make of a window, in order of time. Called once for each window, in their order.
  mutating func instants(of window: SceneWindow) throws -> [FrameInstant]
  /// Makes one of them.
  func frame(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame
  /// The source frames that a made one is compared with.
  func sources(of window: SceneWindow) throws -> [VideoFrame]
  /// What is shown instead of a frame that came out wrong; nil where there is nothing, and the work ends.
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame?
}

extension FrameMaker {
  func sources(of window: SceneWindow) throws -> [VideoFrame] { [try window.center.video] }
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame? { nil }
}

/// A frame for each window: its centre, enlarged or of the same size, corrected by the network.
struct EnlargedFrameMaker: FrameMaker {
  let shape: VideoShape
  let repeatsFrames = false

  private let network: any WindowNetwork
  private let conditions: WindowConditions
  private let enlarger: FrameEnlarger
  private let profile: WorkProfile?

  init(
    _ network: any WindowNetwork, of source: VideoShape, conditions: WindowConditions, threads: Int,
    profile: WorkProfile?
  ) {
    self.network = network
    self.conditions = conditions
    self.profile = profile
    let scale = network.architecture.scale
    enlarger = FrameEnlarger(scale: scale, threads: threads)
    var shape = source
    shape.width *= scale
    shape.height *= scale
    self.shape = shape
  }

  func instants(of window: SceneWindow) -> [FrameInstant] {
    let frame = window.center.frame
    return [FrameInstant(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)]
  }

  func frame(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame {
    try Self.frame(of: window, by: network, given: conditions, enlarger, profile)
  }

  /// The frame for a window.
  static func frame(
    of window: SceneWindow, by network: any WindowNetwork, given conditions: WindowConditions,
    _ enlarger: FrameEnlarger, _ profile: WorkProfile? = nil
  ) throws -> VideoFrame {
    let pictures = try window.frames.map { try $0.planar }
    return try enlarger.enlarge(window.center.video) {
      try network.predictRows(pictures, given: conditions, profile: profile, take: $0)
    }
  }
}

/// The source's frames as they are, and frames between them. At the end of a scene, and between equal frames, the source is
/// shown again, untouched.
struct InterpolatedFrameMaker: FrameMaker {
  let shape: VideoShape
  let repeatsFrames = true

  private let network: any WindowNetwork
  private let conditions: WindowConditions
  private let blender: FrameBlender
  private let profile: WorkProfile?
  private var timeline: InterpolationTimeline

  /// - Throws: `PipelineError.timeBaseTooFine`.
  init(
    _ network: any WindowNetwork, of source: VideoShape, rate: InterpolationRate,
    conditions: WindowConditions, threads: Int, profile: WorkProfile?
  ) throws {
    self.network = network
    self.conditions = conditions
    self.profile = profile
    blender = FrameBlender(threads: threads)
    timeline = try InterpolationTimeline(
      rate: rate, timeBase: source.timeBase, frameRate: source.frameRate, path: source.media.path)
    var shape = source
    shape.startTime = timeline.scaled(source.startTime)
    shape.timeBase = timeline.timeBase
    shape.frameRate = timeline.frameRate
    self.shape = shape
  }

  mutating func instants(of window: SceneWindow) throws -> [FrameInstant] {
    let (source, following) = (window.frames[0], window.frames[1])
    let distance = following.frame.presentationTimestamp.subtractingReportingOverflow(
      source.frame.presentationTimestamp)
    let isLast = following === source
    let length = isLast || distance.overflow ? source.frame.duration : distance.partialValue
    return try timeline.instants(from: source.frame.presentationTimestamp, length: max(1, length))
  }

  func sources(of window: SceneWindow) throws -> [VideoFrame] {
    [try window.frames[0].video, try window.frames[1].video]
  }

  /// The nearer of the two frames around it.
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame? {
    try Self.nearest(to: instant, of: window)
  }

  static func nearest(to instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame {
    let nearer = window.frames[instant.position * 2 < FrameMotion.unit ? 0 : 1]
    return try nearer.video.withoutCaptions().retimed(
      presentationTimestamp: instant.presentationTimestamp, duration: instant.duration)
  }

  func frame(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame {
    try Self.frame(at: instant, of: window, by: network, given: conditions, blender, profile)
  }

  /// The frame for an instant within a window.
  static func frame(
    at instant: FrameInstant, of window: SceneWindow, by network: any WindowNetwork,
    given conditions: WindowConditions, _ blender: FrameBlender, _ profile: WorkProfile? = nil
  ) throws -> VideoFrame {
    let (source, following) = (window.frames[0], window.frames[1])
    let (first, second) = (try source.video, try following.video)
    let pictures = [try source.planar, try following.planar]
    if instant.position == 0 || following === source || pictures[0].isEqual(to: pictures[1]) {
      // Captions come once, with the source frame itself.
      let video = instant.position == 0 ? first : try first.withoutCaptions()
      return try video.retimed(
        presentationTimestamp: instant.presentationTimestamp, duration: instant.duration)
    }
    let prediction = try network.predict(
      pictures, at: instant.position, given: conditions, profile: profile)
    guard let alignment = prediction.alignment else {
      preconditionFailure("networks for interpolation align their frames")
    }
    return try profile.measure("blend") {
      try blender.blend(
        first, second, aligned: alignment, adding: prediction.residual,
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
