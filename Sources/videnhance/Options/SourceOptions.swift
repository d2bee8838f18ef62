// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementPipeline
import VideoIO

/// Selects the part of the source to process, and how it is read.
struct SourceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Start this far into the file: seconds or [hours:]minutes:seconds.",
      valueName: "time"))
  var start: TimeOption?

  @Option(help: ArgumentHelp("Process at most this much (default: to the end).", valueName: "time"))
  var duration: TimeOption?

  @Option(
    help: ArgumentHelp(
      "Video stream to process, by its index in the file, from 0 (default: the best one).",
      valueName: "number"))
  var stream: Int?

  @Flag(
    inversion: .prefixedNo, help: "Deinterlace: make one frame from the two fields of each interlaced frame.")
  var deinterlace = false

  @Flag(help: "Deinterlace: make one frame from each field, doubling the frame rate.")
  var deinterlaceFields = false

  @Flag(
    help:
      "Follow playlists (HLS, DASH, ffconcat) whatever their extension; playlists make the program open other files."
  )
  var allowPlaylists = false

  @Flag(help: "Enhance Dolby Vision without a compatible base layer, although the colours will be wrong.")
  var ignoreDolbyVision = false

  func validate() throws {
    if let duration, duration.value <= .zero { throw ValidationError("--duration must be above 0") }
    if let stream, stream < 0 { throw ValidationError("--stream is counted from 0") }
    if deinterlace && deinterlaceFields {
      throw ValidationError("--deinterlace and --deinterlace-fields contradict each other")
    }
  }

  /// Adds these options to those of a job.
  func add(to options: inout EnhancementJob.Options) {
    options.start = start?.value
    options.length = duration?.value
    options.stream = stream
    options.allowsPlaylists = allowPlaylists
    options.ignoresDolbyVision = ignoreDolbyVision
    options.deinterlacing = deinterlaceFields ? .fields : deinterlace ? .frames : nil
  }
}

/// A length of time: seconds, minutes:seconds or hours:minutes:seconds, with optional fractions of a second.
struct TimeOption: ExpressibleByArgument {
  let value: Duration

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard (1...3).contains(parts.count) else { return nil }
    let last = parts[parts.count - 1].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    func isNumber(_ text: Substring) -> Bool {
      !text.isEmpty && text.count <= 9 && text.utf8.allSatisfy { (48...57).contains($0) }
    }
    guard (parts.dropLast() + [last[0]]).allSatisfy(isNumber) else { return nil }
    var seconds: Int64 = 0
    for (index, part) in (parts.dropLast() + [last[0]]).enumerated() {
      guard let number = Int64(part), index == 0 || number < 60 else { return nil }
      seconds = seconds * 60 + number
    }
    var microseconds: Int64 = 0
    if last.count == 2 {
      guard isNumber(last[1]), let number = Int64((last[1] + "000000").prefix(6)) else { return nil }
      microseconds = number
    }
    value = .seconds(seconds) + .microseconds(microseconds)
  }
}
