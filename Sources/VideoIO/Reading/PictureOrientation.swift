// SPDX-License-Identifier: Apache-2.0

/// How players turn a picture before they show it, in quarters: first transposed, then mirrored.
package struct PictureOrientation: Sendable, Hashable {
  /// Whether rows become columns.
  package var transposes = false
  /// Whether left and right are exchanged.
  package var mirrorsColumns = false
  /// Whether top and bottom are exchanged.
  package var mirrorsRows = false

  /// As stored.
  package init() {}

  /// Reads a display matrix of 9 numbers in fixed point, as FFmpeg stores it; other angles become the nearest quarter.
  init(matrix: [Int32]) {
    guard matrix.count == 9 else { return }
    // A point (x, y) is shown at (ax + cy, bx + dy), up to a shift.
    let (a, b, c, d) = (Int64(matrix[0]), Int64(matrix[1]), Int64(matrix[3]), Int64(matrix[4]))
    transposes = abs(b) + abs(c) > abs(a) + abs(d)
    mirrorsColumns = (transposes ? c : a) < 0
    mirrorsRows = (transposes ? b : d) < 0
  }

  /// FFmpeg's filters that turn a picture; nil if it is upright as it is stored.
  package var filter: String? {
    if transposes {
      // The names say where rotations and flips lead: "cclock_flip" only transposes.
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
  /// How players turn the pictures.
  package var orientation: PictureOrientation {
    guard source.streams.indices.contains(videoStreamIndex) else { return PictureOrientation() }
    return source.streams[videoStreamIndex].sideData.lazy.compactMap(\.displayMatrix).first
      .map { PictureOrientation(matrix: $0) } ?? PictureOrientation()
  }
}

extension VideoFrame {
  /// The picture as players show it. Layouts with different resolutions of chroma across and down change where rows become
  /// columns.
  /// - Throws: `VideoIOError.cannotFilter`.
  package func turned(by orientation: PictureOrientation) throws(VideoIOError) -> VideoFrame {
    guard let description = orientation.filter else { return self }
    var filter = try FrameFilter(description, like: self, timeBase: Rational(1, 25))
    let frames = try filter.push(self) + filter.finish()
    guard let frame = frames.first else { throw .cannotFilter(description, reason: .invalidData) }
    return frame
  }
}
