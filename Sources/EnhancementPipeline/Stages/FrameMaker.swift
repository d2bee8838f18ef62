// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation
internal import Kernels
internal import VideoIO

/// An output frame to create.
struct FrameInstant: Equatable {
  /// In output ticks.
  var presentationTimestamp, duration: Int64
  /// Position between the window's centre and the next frame, in units of 1/`BetweenMotion.unit`; 0 is the
  /// centre.
  var position = 0
}

/// Creates the output frames of a step from windows of its input, using a network. Used by one task.
protocol FrameMaker {
  /// The shape of the output.
  var shape: VideoShape { get }
  /// Whether an output frame may equal the previous one although the source moves.
  var repeatsFrames: Bool { get }

  /// Returns the frames to create for a window, in order of time. Called once per window, in order.
  mutating func instants(of window: SceneWindow) throws -> [FrameInstant]
  /// Creates one of these frames.
  func frame(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame
  /// Returns the source frames against which the output is checked.
  func sources(of window: SceneWindow) throws -> [VideoFrame]
  /// Returns a replacement for a frame that failed the output check; nil if there is none, which ends the
  /// work with an error.
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame?
}

extension FrameMaker {
  func sources(of window: SceneWindow) throws -> [VideoFrame] { [try window.center.video] }
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame? { nil }
}

/// Creates one frame per window: its centre, enlarged or of the same size, corrected by the network.
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

/// Passes the source's frames through and creates frames between them. At the end of a scene and between
/// equal frames, the source frame is repeated unchanged.
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

  /// Returns the nearer of the two neighbours.
  func substitute(at instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame? {
    try Self.nearest(to: instant, of: window)
  }

  static func nearest(to instant: FrameInstant, of window: SceneWindow) throws -> VideoFrame {
    let nearer = window.frames[instant.position * 2 < BetweenMotion.unit ? 0 : 1]
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
      // Captions belong to the source frame alone.
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
