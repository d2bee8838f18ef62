// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Testing
import VideoIO

@testable import EnhancementPipeline

/// The noise level that denoising finds behind a codec.
@Suite struct CodedNoiseTests {
  /// A still picture of soft blobs with new noise in each frame.
  private static func film(_ level: Float, count: Int = 17) throws -> [VideoFrame] {
    var random = SplitMix64(seed: 5)
    let (width, height) = (320, 192)
    return try (0..<count).map { index in
      try VideoFrame.make(
        width: width, height: height, format: .yuv420p, presentationTimestamp: Int64(index), duration: 1
      ) { plane, bytes, bytesPerRow in
        for y in 0..<(plane == 0 ? height : height / 2) {
          for x in 0..<(plane == 0 ? width : width / 2) {
            let picture: Float = plane > 0 ? 128 : Float(70 + (x / 40 + y / 48) % 3 * 60 + x % 40 / 2)
            let sample = (picture + level * random.normal()).rounded()
            bytes[y * bytesPerRow + x] = UInt8(max(0, min(255, sample)))
          }
        }
      }
    }
  }

  /// The levels of all whole windows of seven coded frames, with their quantizers and without.
  private static func levels(_ level: Float, codec: String = "libx264", _ options: [String: String]) throws
    -> (
      known: [Float], unknown: [Float]
    )
  {
    let frames = try CodecRoundTrip.roundTrip(film(level), codec: codec, options: options)
    func windows(_ hasQuantizers: Bool) -> [Float] {
      let pictures = frames.map { frame, quantizers in
        let picture = PlanarFrame(frame)
        picture.quantizers =
          hasQuantizers
          ? quantizers.map { QuantizerMap(columns: $0.columns, rows: $0.rows, values: $0.values) } : nil
        return picture
      }
      return (0...pictures.count - 7).map { NoiseLevel.estimate(window: Array(pictures[$0..<$0 + 7])) }
    }
    return (windows(true), windows(false))
  }

  /// At this quantizer most of the noise is lost, and what is left reads much too low without it.
  @Test func noiseIsFoundBehindACodec() throws {
    let (known, unknown) = try Self.levels(10, ["crf": "28"])
    let (least, most) = (known.min()!, known.max()!)
    #expect(least > 6 && most < 16, "\(known)")
    #expect(least > unknown.min()! + 0.5, "\(known), without quantizers \(unknown)")
  }

  /// Removal must not pulse with the types of frames.
  @Test(
    arguments: [
      ("libx264", ["crf": "23", "bf": "3", "x264-params": "b-adapt=0"]),
      ("mpeg2video", ["qmin": "4", "qmax": "4", "g": "15", "bf": "2"]),
    ]) func theLevelIsSteady(codec: String, options: [String: String]) throws
  {
    let (known, _) = try Self.levels(10, codec: codec, options)
    // The first windows hold the I-frame, which keeps more noise.
    #expect(known.max()! < 1.15 * known.min()! && known.min()! > 7, "\(known)")
  }

  @Test(arguments: ["18", "28", "36"]) func filmsWithoutNoiseHaveNone(crf: String) throws {
    let (known, _) = try Self.levels(0, ["crf": crf])
    #expect(known.max()! < 1, "\(known)")
  }
}
