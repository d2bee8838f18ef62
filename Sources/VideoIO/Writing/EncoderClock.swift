// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The clock that an encoder needs.
enum EncoderClock {
  /// Any time base: the encoder gets the source's.
  case ticks
  /// Frames at a constant rate; the source's times are restored in its packets afterwards.
  case frames
  /// Frames at one of the rates that MPEG-1 and MPEG-2 support.
  case broadcastFrames

  init(codec: AVCodecID) {
    switch codec {
    case AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO:
      self = .broadcastFrames
    case AV_CODEC_ID_MPEG4, AV_CODEC_ID_MSMPEG4V2, AV_CODEC_ID_MSMPEG4V3, AV_CODEC_ID_WMV1,
      AV_CODEC_ID_WMV2, AV_CODEC_ID_H263, AV_CODEC_ID_H263P, AV_CODEC_ID_FLV1, AV_CODEC_ID_THEORA,
      AV_CODEC_ID_RV10, AV_CODEC_ID_RV20:
      self = .frames
    default:
      self = .ticks
    }
  }

  /// The rate nearest to `rate` that the codec supports.
  func nominalRate(_ rate: Rational) -> Rational {
    switch self {
    case .ticks:
      return rate
    case .frames:
      // MPEG-4 supports up to 65535 ticks per second.
      var (numerator, denominator): (Int32, Int32) = (0, 0)
      av_reduce(&numerator, &denominator, Int64(rate.numerator), Int64(rate.denominator), 65535)
      let reduced = Rational(numerator, denominator)
      return reduced.isPositive ? reduced : Rational(25, 1)
    case .broadcastFrames:
      let known = [
        Rational(24000, 1001), Rational(24, 1), Rational(25, 1), Rational(30000, 1001), Rational(30, 1),
        Rational(50, 1), Rational(60000, 1001), Rational(60, 1),
      ]
      func distance(_ other: Rational) -> Double { abs(other.doubleValue - rate.doubleValue) }
      return known.min { distance($0) < distance($1) } ?? Rational(25, 1)
    }
  }
}
