// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import Testing
import Videnhance
import VideoIO

@Suite struct ErrorTests {
  /// Errors of all targets whose hints could name a command-line option.
  private static let errors: [any VidenhanceError] = [
    VideoIOError.isPlaylist(path: "a.m3u8"), VideoIOError.needsDolbyVision(path: "a.mkv"),
    VideoIOError.segmentsExist(path: "a.segments"), VideoIOError.outputExists(path: "a.mkv"),
    PipelineError.interlaced(path: "a.mkv", seconds: 1), PipelineError.noFrames(path: "a.mkv"),
    PipelineError.missingFrame(1), ModelError.notShipped(name: "sr-x3"), ModelError.notFinite,
    ModelError.badArchitecture("no layers"), UsageError.noSteps, UsageError.timescale(0),
  ]

  @Test(arguments: errors) func errorsDescribeThemselvesWithoutOptions(error: any VidenhanceError) {
    #expect(error.localizedDescription == error.description)
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    #expect((error as NSError).localizedRecoverySuggestion == error.hint)
    for text in [error.description, error.hint ?? ""] {
      #expect(!text.contains("--") && !text.contains("videnhance "), "\(text)")
    }
  }
}
