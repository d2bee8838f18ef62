// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// The results of a stage, for the summary.
enum StageReport: Sendable {
  case reading(warnings: [MediaRemark], leftOut: [MediaRemark])
  case windows(sceneCuts: [Int]?)
  case enhancing(repeated: Int, substituted: Int, noise: NoiseTally)
  case resizing
  case writing(EnhancementSummary)

  func add(to summary: inout EnhancementSummary) {
    switch self {
    case .reading(let warnings, let leftOut):
      summary.warnings = warnings + summary.warnings
      summary.leftOut = leftOut + summary.leftOut
    case .windows(let cuts): if let cuts { summary.sceneCuts = cuts }
    case .enhancing(let repeated, let substituted, let noise):
      summary.repeatedFrames += repeated
      summary.substitutedFrames += substituted
      summary.noise.add(noise)
    case .resizing: break
    case .writing(let written):
      summary.frames = written.frames
      summary.resumedFrames = written.resumedFrames
      summary.width = written.width
      summary.height = written.height
      summary.format = written.format
      summary.encoder = written.encoder
      summary.leftOut += written.leftOut
      summary.warnings += written.warnings
    }
  }
}
