// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Synchronization
internal import VideoIO

/// What the stages tell each other. The first message is `opened`; packets of other streams travel among the
/// frames, or the muxer would wait for one while the queue of the other is full.
enum StageMessage<Opening: Sendable, Frame: Sendable>: Sendable {
  case opened(Opening)
  case frame(Frame)
  case packet(EncodedPacket)
}

/// A source frame and what the network sees of it.
final class PreparedFrame: Sendable {
  let video: VideoFrame
  let planar: PlanarFrame
  private let census: FrameCensus

  init(_ video: VideoFrame, census: FrameCensus) {
    self.video = video
    self.census = census
    planar = PlanarFrame(video)
    census.add(1)
  }

  deinit { census.add(-1) }
}

/// Counts the prepared frames that are alive, to hold the pipeline to its memory bound.
final class FrameCensus: Sendable {
  private let counts = Mutex((now: 0, peak: 0))

  func add(_ count: Int) {
    counts.withLock {
      $0.now += count
      $0.peak = max($0.peak, $0.now)
    }
  }

  /// The largest number alive at once.
  var peak: Int { counts.withLock { $0.peak } }
}

/// Carries a network from the stage that makes it to the stage that runs it.
struct NetworkHandoff: @unchecked Sendable {
  // Unchecked: the maker keeps no reference, so one task at a time has the network.
  let network: any WindowNetwork
}

/// The video between two stages: how the frames to come look and are timed.
struct VideoShape: Sendable {
  /// The file that was read.
  let media: MediaInfo
  /// Extents of the frames.
  var width, height: Int
  /// Seconds per tick of their timestamps, frames per second on average, and the first timestamp.
  var timeBase, frameRate: Rational
  var startTime: Int64

  /// The video as it is read.
  init(_ media: MediaInfo) {
    self.media = media
    width = media.width
    height = media.height
    timeBase = media.timeBase
    frameRate = media.averageFrameRate
    startTime = media.startTime
  }

  /// The video when its frames have been deinterlaced, in ticks of `timeBase`.
  func deinterlaced(_ mode: Deinterlacing, timeBase: Rational) -> VideoShape {
    guard mode == .fields else { return self }
    var result = self
    result.timeBase = timeBase
    result.startTime = startTime * 2
    // A rate whose double does not fit is unknown.
    let (doubled, overflow) = frameRate.numerator.multipliedReportingOverflow(by: 2)
    result.frameRate = overflow ? Rational(0, 1) : Rational(doubled, frameRate.denominator)
    return result
  }

  /// Frames there will be, as far as the source lets it be known.
  var estimatedFrameCount: Int? {
    guard let count = media.estimatedFrameCount else { return nil }
    guard media.averageFrameRate.isPositive, frameRate.isPositive else { return count }
    return Int((Double(count) * frameRate.doubleValue / media.averageFrameRate.doubleValue).rounded())
  }
}

/// What the enhancing stage needs before the first window.
struct WindowOpening: Sendable {
  let shape: VideoShape
  let handoff: NetworkHandoff
}

/// A channel between stages.
typealias StageChannel<Opening: Sendable, Frame: Sendable> = BoundedChannel<StageMessage<Opening, Frame>>
typealias FrameChannel = StageChannel<VideoShape, VideoFrame>
typealias WindowChannel = StageChannel<WindowOpening, SlidingWindow<PreparedFrame>.Window>

extension BoundedChannel {
  /// A channel for `frames` frames, and packets between them: those must not keep the next frame from being
  /// made.
  static func between<Opening, Frame>(frames: Int) -> BoundedChannel
  where Element == StageMessage<Opening, Frame> {
    let packetsPerFrame = 16
    return BoundedChannel(capacity: (frames + 1) * packetsPerFrame - 1) { message in
      if case .packet = message { 1 } else { packetsPerFrame }
    }
  }
}
