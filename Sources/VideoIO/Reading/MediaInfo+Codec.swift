// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension MediaInfo {
  /// Whether the video codec is lossless or a mastering codec with little loss.
  ///
  /// Codecs with lossy and lossless modes, such as H.264, count as lossy; their quantizers are more informative.
  package var isMaster: Bool {
    if ["prores", "dnxhd", "cfhd", "vc2", "dirac"].contains(codecName) { return true }
    guard let descriptor = avcodec_descriptor_get_by_name(codecName) else { return false }
    return descriptor.pointee.props & AV_CODEC_PROP_LOSSLESS != 0
      && descriptor.pointee.props & AV_CODEC_PROP_LOSSY == 0
  }
}
