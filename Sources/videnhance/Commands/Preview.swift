// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import QualityReport
import Videnhance

/// Shows the effect of a job on a few frames before it is started.
struct Preview: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Save pictures of a few frames, before and after.",
    discussion: """
      Examples:
        videnhance preview in.mp4 --task sr --bits 4
        videnhance preview noisy.mkv --task denoise,sr --frames 5 --output look
        videnhance preview tape.vob --deinterlace --start 10:00 --duration 5:00

      The clip is divided into as many parts as frames are requested; of a few places in each part, the one with the most \
      texture and motion is chosen. For each frame, NN-before.png (bicubic enlargement) and NN-after.png have the output's \
      full size, and NN-crop.png shows the area that changed most, before on the left, after on the right. Pictures are \
      upright, as players show the video.
      """)

  @Argument(help: "Input video.", completion: .file()) var input: String
  @OptionGroup(title: "Source options") var source: SourceOptions
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @Option(help: "Number of frames: 1 to 20.") var frames = 3
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Folder for the pictures (default: the video's name with -preview appended).", valueName: "folder"),
    completion: .directory)
  var output: String?
  @Option(help: "Number of threads (default: one per core).") var threads: Int?
  @Flag(help: "Replace existing pictures of the same names.") var overwrite = false

  func validate() throws {
    if !(1...20).contains(frames) { throw ValidationError("--frames must be 1...20") }
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
    if input == "-" { throw ValidationError("preview needs a file: standard input can be read only once") }
  }

  func run() async throws {
    let folder = output ?? (input as NSString).deletingPathExtension + "-preview"
    if !overwrite, FileManager.default.fileExists(atPath: folder) {
      throw PreviewError(
        detail: "folder \(folder) exists (hint: choose another with --output, or pass --overwrite)")
    }
    var options = EnhancementJob.Options(threads: threads)
    source.add(to: &options)
    let preview = ClipPreview(
      of: input, steps: network.steps, isInterpolating: network.task.tasks.contains(.interpolation),
      options: options)
    let spots = try preview.spots(frames)
    if spots.isCombed { Console.warning("\(input): \(Console.text(of: CombDetector.remark))") }
    for (index, spot) in spots.times.enumerated() {
      let name = folder + String(format: "/%02d-", index + 1)
      let pictures = try await Interrupt.cancelling { try await preview.pictures(at: spot) }
      try write(pictures, name, folder: folder)
      Console.line(
        "\(name)before.png, -after.png, -crop.png: at \(clockText(spot.rounded(.down))) (\(String(format: "%.2f", spot)) s)"
      )
    }
  }

  /// Creates the folder together with the first pictures, so that a failure does not leave an empty one.
  private func write(_ pictures: [ClipPreview.Picture], _ name: String, folder: String) throws {
    let files = FileManager.default
    let isNew = !files.fileExists(atPath: folder)
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    do {
      for picture in pictures {
        try Data(picture.bytes).write(
          to: URL(fileURLWithPath: "\(name)\(picture.name).png"), options: .atomic)
      }
    } catch {
      // Fails harmlessly if the folder contains files.
      if isNew { rmdir(folder) }
      throw PreviewError(detail: "\(folder) cannot be written: \(error.localizedDescription)")
    }
  }
}
