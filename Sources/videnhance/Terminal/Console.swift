// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import ClusterWork
import EnhancementModel
import EnhancementPipeline
import Foundation
import SystemPackage
import Videnhance
import VideoIO

/// Messages for the user on standard error; standard output is for data.
enum Console {
  /// Whether standard error is a terminal.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Columns of the terminal on standard error; if it does not report them, the value of COLUMNS, or 80.
  static var columns: Int {
    var size = winsize()
    if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
      ?? 80
  }

  /// Writes a line. Escapes control characters, which file names and tags may contain.
  static func line(_ text: String) { write(FileName.escaped(text) + "\n") }

  /// Writes text without a line break. Ignores errors, such as a closed pipe or a full disk: lost messages are no reason to
  /// abort the work.
  static func write(_ text: String) {
    _ = try? FileDescriptor.standardError.writeAll(text.utf8)
  }

  /// Writes a warning as one line.
  static func warning(_ text: String) { line("videnhance: warning: \(singleLine(text))") }

  /// Writes an error and its hint as one line.
  static func error(_ error: any Error) {
    line("videnhance: " + text(of: error))
  }

  /// An error and its hint as one line.
  static func text(of error: any Error) -> String {
    singleLine(description(of: error) + (hint(for: error).map { " (hint: \($0))" } ?? ""))
  }

  /// The error's description. If settings differ from those of unfinished work, they are named by their options.
  private static func description(of error: any Error) -> String {
    guard case VideoIOError.segmentsDiffer(let path, let differences) = error,
      !differences.contains(where: { $0.path.hasPrefix("source.") })
    else { return "\(error)" }
    let texts = differences.map { option(ofPath: $0.path).map($0.text(name:)) ?? $0.description }
    return "the work in \(path) was started with other settings: " + texts.joined(separator: "; ")
  }

  /// The option that sets a part of `ResumeIdentity`; nil if none does by itself.
  private static func option(ofPath path: String) -> String? {
    let parts = path.split(separator: ".").map(String.init)
    switch parts[0] {
    case "segmentFrames": return "--segment-frames"
    case "start", "stream": return "--\(parts[0])"
    case "length": return "--duration"
    case "encoder":
      switch parts[1] {
      case "codec", "crf", "preset", "container": return "--\(parts[1])"
      case "pixelFormat": return "--pix-fmt"
      case "options": return "--encoder-option \(parts.dropFirst(2).joined(separator: "."))"
      default: return nil
      }
    case "steps" where parts.count == 3 && ["bits", "noise", "strength", "sharpness"].contains(parts[2]):
      return "--\(parts[2])"
    case "steps" where parts.count == 3 && parts[2] == "smoothing": return "--no-smoothing"
    case "steps" where parts.count == 5 && parts[3] == "factor": return "--factor"
    default: return nil
    }
  }

  /// A remark's description, with the option that avoids its cause.
  static func text(of remark: MediaRemark) -> String {
    let advice: String? =
      switch remark.remedy {
      case .layoutOrEncoder: "--pix-fmt or --codec chooses another"
      case .oddSizes: "--codec ffv1 or --pix-fmt yuv444p keeps it"
      case .layout(let name): "--pix-fmt \(name) keeps the full resolution of colour"
      case .layoutOfAllPlayers(let losesDepth):
        "--pix-fmt yuv420p suits all" + (losesDepth ? ", --codec hevc keeps the depth" : "")
      case .deinterlacing: "pass --deinterlace to treat all of it as interlaced"
      case .copiedAudio: "--audio copy leaves it out"
      case .copiedSubtitles: "--subtitles copy leaves it out"
      case .deinterlacingAnyway: "--deinterlace removes the combs"
      case nil: nil
      }
    return remark.description + (advice.map { "; \($0)" } ?? "")
  }

  /// The exit code for an error: 75 (`EX_TEMPFAIL`) if another run is in the way, 64 if options contradict each other.
  static func exitCode(for error: any Error) -> ExitCode {
    if case VideoIOError.noPresets = error { return .validationFailure }
    return (error as? VideoIOError)?.isTemporary == true ? ExitCode(75) : .failure
  }

  private static func hint(for error: any Error) -> String? {
    switch error {
    case VideoIOError.outputExists: "choose another name, or pass --overwrite"
    case VideoIOError.isPlaylist: "pass --allow-playlists if you know where it leads"
    case VideoIOError.needsDolbyVision: "convert it to HDR10 first, or pass --ignore-dolby-vision"
    case VideoIOError.segmentsExist: "continue it with --resume, or delete the folder"
    case VideoIOError.noPresets(let encoder):
      "leave out --preset; --encoder-option sets its own options, which ffmpeg -h encoder=\(encoder) lists"
    case let error as VideoIOError: error.hint
    case ModelError.notShipped: "pass a file with --model-file"
    case ModelError.cannotOpen(let path, _) where ShippedModel.all.contains(where: { $0.name == path }):
      "this model is shipped: --task, --scale, --model, --source and --bits choose it"
    case BatchError.notAFolder: "videnhance in.mp4 out.mp4 enhances one file"
    case BatchError.unclearShare: "set it, or pass --shard; 1/1 processes all files"
    case BatchError.outputTaken: "rename one, or add what distinguishes them to --pattern"
    case BatchError.outputIsInput: "choose another output folder or --pattern"
    case let error as BatchError: error.hint
    case PipelineError.interlaced:
      "pass --deinterlace, or --deinterlace-fields for a frame of each field (bwdif)"
    case let error as PipelineError: error.hint
    case PlanError.exists: "choose another name, or pass --overwrite, which drops the pieces made for it"
    case PlanError.sourceMissing: "if it lies elsewhere on this machine, pass --source"
    case PlanError.noSuchShard: "engines that count from 1 need --one-based"
    case PlanError.unclearIndex: "pass --index, or --all"
    case let error as PlanError: error.hint
    default: nil
    }
  }

  /// Lines of a text as one; items of a list ("- 2") are separated by commas.
  static func singleLine(_ text: String) -> String {
    var result = ""
    for line in text.split(whereSeparator: \.isNewline).map({ $0.trimmingCharacters(in: .whitespaces) }) {
      let isItem = line.hasPrefix("- ")
      if !result.isEmpty { result += isItem ? (result.hasSuffix(":") ? " " : ", ") : "; " }
      result += isItem ? String(line.dropFirst(2)) : line
    }
    return result
  }
}
