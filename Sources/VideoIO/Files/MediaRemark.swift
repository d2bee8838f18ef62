// SPDX-License-Identifier: Apache-2.0

/// Something about a file that its owner may want to know: a warning, or a part that the output lacks.
package struct MediaRemark: Sendable, Hashable, CustomStringConvertible {
  /// What it is about.
  package enum Kind: Sendable, Hashable {
    /// Samples are encoded in another layout.
    case layout
    /// The picture is smaller than it should be.
    case size
    /// The picture's alpha channel.
    case transparency
    /// The shape or colour of the picture changes within the file.
    case change
    /// Timestamps.
    case times
    /// Damaged parts of the source.
    case damage
    /// The rest of the source, from some place on.
    case rest
    /// Frames that are repeated, replaced or dropped.
    case frames
    /// Interlaced frames that are flagged as progressive.
    case fields
    /// The stream of this index in the source.
    case stream(Int)
    /// Tags, chapters and other metadata.
    case metadata
    /// The source was changed by another program.
    case source
    /// The file system, or what an earlier run left in it.
    case storage
  }

  /// A choice that avoids what the remark is about.
  package enum Remedy: Sendable, Hashable {
    /// Another layout or encoder.
    case layoutOrEncoder
    /// A layout or encoder that takes odd sizes.
    case oddSizes
    /// The layout of this name, which loses no resolution of colour.
    case layout(String)
    /// 8-bit 4:2:0, or HEVC where that would lose depth.
    case layoutOfAllPlayers(losesDepth: Bool)
    /// Deinterlacing.
    case deinterlacing
    /// Leaving audio out instead of converting it.
    case copiedAudio
    /// Leaving subtitles out instead of converting them.
    case copiedSubtitles
    /// Deinterlacing of frames that are flagged as progressive.
    case deinterlacingAnyway
  }

  /// What it is about.
  package let kind: Kind
  /// One lower-case line.
  package let description: String
  /// What avoids it; nil if nothing is known.
  package let remedy: Remedy?

  package init(_ kind: Kind, _ description: String, remedy: Remedy? = nil) {
    self.kind = kind
    self.description = description
    self.remedy = remedy
  }
}
