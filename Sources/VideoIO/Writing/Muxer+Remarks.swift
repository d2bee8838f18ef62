// SPDX-License-Identifier: Apache-2.0

// Remarks about streams of the output; `index` is that of the source.
extension Muxer.Route {
  /// Packets that the container did not accept; nil if there were none.
  func rejected(of index: Int, by container: String) -> MediaRemark? {
    guard rejectedCount > 0 else { return nil }
    let packets = rejectedCount == 1 ? "1 damaged packet" : "\(rejectedCount) damaged packets"
    return MediaRemark(.damage, "\(packets) of stream \(index) (\(name)), which \(container) does not accept")
  }

  func missing(_ index: Int, in container: String) -> MediaRemark {
    MediaRemark(.stream(index), "stream \(index) (\(name)), which cannot be found again in \(container)")
  }

  /// Sound whose gaps are lost.
  func shifted(_ index: Int, by seconds: Double, in container: String) -> MediaRemark {
    let time = VideoIOError.text(seconds)
    return MediaRemark(
      .times,
      "gaps of stream \(index) (\(name)), which do not fit into \(container): its sound is out of time by \(time)"
    )
  }
}

extension MediaRemark {
  /// The video's pauses of a container in which all frames last equally long.
  static func pauses(of seconds: Double, in container: String) -> MediaRemark {
    let time = VideoIOError.text(seconds)
    return MediaRemark(
      .times, "pauses of the video, which do not fit into \(container): it is \(time) shorter")
  }
}
