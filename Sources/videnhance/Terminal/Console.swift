// SPDX-License-Identifier: Apache-2.0
import BatchProcessing
import EnhancementPipeline
import Foundation
import VideoIO

/// Lines for people, on standard error; standard output belongs to data.
enum Console {
  /// Whether standard error is a terminal.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Writes a line.
  static func line(_ text: String) { write(text + "\n") }

  /// Writes text without ending the line.
  static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

  /// Writes a warning as one line.
  static func warning(_ text: String) { line("videnhance: warning: \(singleLine(text))") }

  /// Writes an error, and what can be done about it, as one line.
  static func error(_ error: any Error) {
    line("videnhance: " + text(of: error))
  }

  /// An error, and what can be done about it, as one line.
  static func text(of error: any Error) -> String {
    singleLine("\(error)" + (hint(for: error).map { " (hint: \($0))" } ?? ""))
  }

  private static func hint(for error: any Error) -> String? {
    switch error {
    case VideoIOError.outputExists: "choose another name, or pass --overwrite"
    case let error as VideoIOError: error.hint
    case BatchError.notAFolder: "videnhance in.mp4 out.mp4 enhances one file"
    case BatchError.unclearShare: "set it, or pass --shard; 1/1 takes all files"
    case BatchError.outputTaken: "rename one, or put what tells them apart into --pattern"
    case BatchError.outputIsInput: "choose another output folder or --pattern"
    case let error as BatchError: error.hint
    case let error as PipelineError: error.hint
    default: nil
    }
  }

  private static func singleLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.joined(
      separator: "; ")
  }
}
