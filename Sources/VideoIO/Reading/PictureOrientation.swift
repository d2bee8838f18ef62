// SPDX-License-Identifier: Apache-2.0

/// The rotation that players apply to a picture, in steps of 90 degrees: a transposition followed by
/// mirroring.
package struct PictureOrientation: Sendable, Hashable {
  /// Whether rows and columns are exchanged.
  package var transposes = false
  /// Whether left and right are exchanged.
  package var mirrorsColumns = false
  /// Whether top and bottom are exchanged.
  package var mirrorsRows = false

  /// Creates an orientation without rotation.
  package init() {}

  /// Converts a display matrix of 9 fixed-point numbers, as FFmpeg stores it; other angles are rounded to a
  /// multiple of 90 degrees.
  init(matrix: [Int32]) {
    guard matrix.count == 9 else { return }
    // A point (x, y) is shown at (ax + cy, bx + dy), up to a shift.
    let (a, b, c, d) = (Int64(matrix[0]), Int64(matrix[1]), Int64(matrix[3]), Int64(matrix[4]))
    transposes = abs(b) + abs(c) > abs(a) + abs(d)
    mirrorsColumns = (transposes ? c : a) < 0
    mirrorsRows = (transposes ? b : d) < 0
  }

  /// FFmpeg's filters that apply the rotation; nil if there is none.
  package var filter: String? {
    if transposes {
      // FFmpeg's names combine a rotation and a flip: "cclock_flip" only transposes.
      switch (mirrorsColumns, mirrorsRows) {
      case (false, false): return "transpose=cclock_flip"
      case (true, false): return "transpose=clock"
      case (false, true): return "transpose=cclock"
      case (true, true): return "transpose=clock_flip"
      }
    }
    let filters = (mirrorsColumns ? ["hflip"] : []) + (mirrorsRows ? ["vflip"] : [])
    return filters.isEmpty ? nil : filters.joined(separator: ",")
  }
}

extension MediaInfo {
  /// Rotation applied by players.
  package var orientation: PictureOrientation {
    guard source.streams.indices.contains(videoStreamIndex) else { return PictureOrientation() }
    return source.streams[videoStreamIndex].sideData.lazy.compactMap(\.displayMatrix).first
      .map { PictureOrientation(matrix: $0) } ?? PictureOrientation()
  }
}

extension VideoFrame {
  /// Returns the picture as players show it. A pixel format with different horizontal and vertical chroma
  /// resolution changes when rows and columns are exchanged.
  /// - Throws: `VideoIOError.cannotFilter`.
  package func turned(by orientation: PictureOrientation) throws(VideoIOError) -> VideoFrame {
    guard let description = orientation.filter else { return self }
    var filter = try FrameFilter(description, like: self, timeBase: Rational(1, 25))
    let frames = try filter.push(self) + filter.finish()
    guard let frame = frames.first else { throw .cannotFilter(description, reason: .invalidData) }
    return frame
  }
}
