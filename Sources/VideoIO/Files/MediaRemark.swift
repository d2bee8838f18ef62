// SPDX-License-Identifier: Apache-2.0

/// A warning about a file, or a part of it that is missing from the output.
package struct MediaRemark: Sendable, Hashable, CustomStringConvertible {
  /// Subject of a remark.
  package enum Kind: Sendable, Hashable {
    /// The output has another pixel format.
    case layout
    /// The picture is smaller than requested.
    case size
    /// The picture's alpha channel.
    case transparency
    /// The picture's size, aspect ratio or colours change within the file.
    case change
    /// Timestamps.
    case times
    /// Damaged parts of the source.
    case damage
    /// The remainder of the source after some point.
    case rest
    /// Repeated, replaced or dropped frames.
    case frames
    /// Interlaced frames flagged as progressive.
    case fields
    /// The stream of this index in the source.
    case stream(Int)
    /// Tags, chapters and other metadata.
    case metadata
    /// The source was modified by another program while being read.
    case source
    /// The file system, or files of an earlier run.
    case storage
  }

  /// An option that avoids the cause of the remark.
  package enum Remedy: Sendable, Hashable {
    /// Another pixel format or encoder.
    case layoutOrEncoder
    /// A pixel format or encoder for odd sizes.
    case oddSizes
    /// The pixel format of this name, which keeps the chroma resolution.
    case layout(String)
    /// 8-bit 4:2:0, or HEVC if that would reduce the bit depth.
    case layoutOfAllPlayers(losesDepth: Bool)
    /// Deinterlacing.
    case deinterlacing
    /// Dropping audio instead of converting it.
    case copiedAudio
    /// Dropping subtitles instead of converting them.
    case copiedSubtitles
    /// Deinterlacing of frames flagged as progressive.
    case deinterlacingAnyway
  }

  /// Subject of the remark.
  package let kind: Kind
  /// One lower-case line.
  package let description: String
  /// Option that avoids the cause; nil if none is known.
  package let remedy: Remedy?

  package init(_ kind: Kind, _ description: String, remedy: Remedy? = nil) {
    self.kind = kind
    self.description = description
    self.remedy = remedy
  }
}
