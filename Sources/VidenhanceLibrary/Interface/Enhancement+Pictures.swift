// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import VideoIO

extension Enhancement {
  /// A sequence of enhanced pictures, in presentation order.
  ///
  /// Each iteration starts the work again. The work is at most a few pictures ahead of the loop's body;
  /// leaving the loop cancels it.
  public struct Pictures: AsyncSequence, Sendable {
    /// A picture of the output.
    public typealias Element = VideoPicture

    private let frames: EnhancedFrames

    init(_ frames: EnhancedFrames) { self.frames = frames }

    /// Creates an iterator; the work starts when the first picture is requested.
    public func makeAsyncIterator() -> Iterator { Iterator(frames.makeAsyncIterator()) }

    /// Iterator over the enhanced pictures.
    public struct Iterator: AsyncIteratorProtocol {
      private var frames: EnhancedFrames.Iterator

      init(_ frames: EnhancedFrames.Iterator) { self.frames = frames }

      /// Returns the next picture, or nil at the end.
      /// - Throws: a `VidenhanceError`, or `CancellationError`.
      public mutating func next() async throws -> VideoPicture? {
        guard let frame = try await frames.next() else { return nil }
        return VideoPicture(frame, timeBase: frames.timeBase)
      }
    }
  }
}

/// Converts the caller's pictures to frames with one time base.
struct PictureSupply<Source: AsyncSequence & Sendable>: FrameSupply where Source.Element == VideoPicture {
  private let source: Source

  init(_ source: Source) { self.source = source }

  func supply(
    open: (_ like: VideoFrame, _ timeBase: Rational) async throws -> Void,
    frame: (VideoFrame) async throws -> Void
  ) async throws {
    var first: VideoPicture?
    var last: VideoPicture?
    for try await picture in source {
      if first == nil { try await open(picture.frame, picture.time.timeBase) }
      let model = first ?? picture
      first = model
      let (expected, found) = (model.shapeText, picture.shapeText)
      if expected != found { throw UsageError.pictureChanges(from: expected, to: found) }
      let timeBase = model.time.timeBase
      let ticks = picture.time.ticks(of: timeBase)
      if let last, last.time.ticks(of: timeBase) >= ticks {
        throw UsageError.timesNotIncreasing(time: "\(picture.time)")
      }
      last = picture
      try await frame(
        picture.frame.retimed(
          presentationTimestamp: ticks, duration: picture.duration.map { $0.ticks(of: timeBase) } ?? 0))
    }
  }
}

extension VideoPicture {
  fileprivate var shapeText: String { "\(width)x\(height) \(layout)" }
}
