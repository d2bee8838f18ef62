// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// HDR10 static metadata in the syntax of x264 and x265.
struct HDRMetadata {
  /// `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)` in units of 0.00002 and 0.0001 cd/m2 (SMPTE ST 2086).
  let masteringDisplay: String?
  /// Maximum light level of a pixel and of a frame average in cd/m2 (CTA-861.3).
  let contentLight: String?

  /// nil if the stream has neither.
  init?(_ stream: SourceStream) {
    func bytes(_ type: AVPacketSideDataType) -> [UInt8]? {
      stream.sideData.first { $0.type == type.rawValue }?.bytes
    }
    masteringDisplay = bytes(AV_PKT_DATA_MASTERING_DISPLAY_METADATA).flatMap(Self.display)
    contentLight = bytes(AV_PKT_DATA_CONTENT_LIGHT_LEVEL).flatMap(Self.light)
    if masteringDisplay == nil, contentLight == nil { return nil }
  }

  private static func display(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= MemoryLayout<AVMasteringDisplayMetadata>.size else { return nil }
    let value = bytes.withUnsafeBytes { $0.loadUnaligned(as: AVMasteringDisplayMetadata.self) }
    guard value.has_primaries != 0, value.has_luminance != 0 else { return nil }
    func count(_ fraction: AVRational, per unit: Double) -> Int64 {
      Int64(exactly: (Rational(fraction).doubleValue * unit).rounded()) ?? 0
    }
    func point(_ pair: (AVRational, AVRational)) -> String {
      "(\(count(pair.0, per: 50_000)),\(count(pair.1, per: 50_000)))"
    }
    let (red, green, blue) = value.display_primaries
    return "G\(point(green))B\(point(blue))R\(point(red))WP\(point(value.white_point))"
      + "L(\(count(value.max_luminance, per: 10_000)),\(count(value.min_luminance, per: 10_000)))"
  }

  private static func light(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= MemoryLayout<AVContentLightMetadata>.size else { return nil }
    let value = bytes.withUnsafeBytes { $0.loadUnaligned(as: AVContentLightMetadata.self) }
    return "\(value.MaxCLL),\(value.MaxFALL)"
  }
}
