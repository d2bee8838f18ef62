// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import EnhancementPipeline
import Foundation
import Videnhance
import VideoIO

// The argument parser's messages in other words.
extension UsageHint {
  /// Explains what the parser rejected.
  /// - Parameter message: the parser's message.
  /// - Returns: nil if its words will do.
  static func explanation(_ words: [String], message: String) -> String? {
    severalInputs(words, message: message) ?? missingCommand(words, message: message)
      ?? missingOutput(words, message: message) ?? unrelatedSuggestion(message)
      ?? unknownOption(words, message: message)
  }

  /// Names an unknown option of `compare`. The parser takes its value for one more file and validates the number of
  /// files before it looks at unknown options.
  /// - Parameter message: the parser's message; only texts of several lines are help.
  /// - Returns: nil if all options are known.
  private static func unknownOption(_ words: [String], message: String) -> String? {
    guard words.first == "compare", !message.contains("nknown option"), !message.contains(where: \.isNewline)
    else { return nil }
    let help = VidenhanceCommand.helpMessage(for: Compare.self, includeHidden: true)
    let known = help.matches(of: /--[a-z][a-z-]*/).map { String($0.0) } + ["--version"]
    let names = words.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
      .map { String($0.prefix { $0 != "=" }) }
    guard let name = names.first(where: { !known.contains($0) }) else { return nil }
    let near = nearest(to: name, among: known)
    let hint = near.map { "did you mean \($0)?" } ?? "'videnhance help compare' lists them"
    return "there is no option '\(name)' (hint: \(hint))"
  }

  /// Names a first word that is no file and cannot be meant as one, since it has no extension.
  private static func missingCommand(_ words: [String], message: String) -> String? {
    guard message.contains("nexpected argument") || message.contains("argument '<output>'"),
      let first = words.first, !commands.contains(first), isName(first),
      !FileManager.default.fileExists(atPath: first)
    else { return nil }
    return "there is no command or file '\(first)' (hint: 'videnhance help' lists the commands)"
  }

  /// Drops the parser's suggestion for an unknown option if hardly a letter of it is the same: "--gpu" for "--fps".
  private static func unrelatedSuggestion(_ message: String) -> String? {
    guard let match = message.firstMatch(of: /Unknown option '--([^']+)'\. Did you mean '--([^']+)'\?/) else {
      return nil
    }
    let (name, other) = (String(match.1), String(match.2))
    if distance(name, other) <= max(1, name.count / 4) { return nil }
    return "Unknown option '--\(name)' (hint: 'videnhance help <command>' lists the options)"
  }

  /// Explains surplus arguments where several of them are files, or the last is a folder.
  /// - Parameter message: the parser's message.
  /// - Returns: nil if something else is wrong.
  private static func severalInputs(_ words: [String], message: String) -> String? {
    guard message.contains("nexpected argument"), let first = words.first, !commands.contains(first) else {
      return nil
    }
    let plain = words.prefix { $0 != "--" }.filter { !$0.hasPrefix("-") }
    let files = plain.filter { FileIdentity(path: $0)?.kind == .file }
    let endsInFolder = plain.last.map { $0.hasSuffix("/") || FolderScan.isFolder($0) } ?? false
    guard files.count > 1 || files.count == 1 && endsInFolder else { return nil }
    return
      "\(message); one input and one output are named at a time (hint: 'videnhance batch <in-dir> <out-dir>' enhances all videos of a folder)"
  }

  /// Names an output where only an input was given.
  /// - Parameter message: the parser's message.
  /// - Returns: nil if something else is wrong.
  private static func missingOutput(_ words: [String], message: String) -> String? {
    guard message.contains("argument '<output>'"), let first = words.first,
      first == "enhance" || !commands.contains(first)
    else { return nil }
    let files = words.prefix { $0 != "--" }.filter { !$0.hasPrefix("-") && FileIdentity(path: $0) != nil }
    guard files.count == 1, let pattern = NamePattern("{name}-enhanced.{ext}") else { return nil }
    if FolderScan.isFolder(files[0]) {
      let folder = files[0].hasSuffix("/") ? String(files[0].dropLast()) : files[0]
      return "no output is named (hint: videnhance \(quoted(folder)) \(quoted(folder + "-enhanced")))"
    }
    let (folder, name) =
      files[0].lastIndex(of: "/").map {
        (String(files[0][...$0]), String(files[0][files[0].index(after: $0)...]))
      } ?? ("", files[0])
    let output = folder + pattern.output(for: name, task: "", bits: "", keepsEnding: false)
    return "no output is named (hint: videnhance \(quoted(files[0])) \(quoted(output)))"
  }

  /// A word as typed in a shell.
  private static func quoted(_ word: String) -> String {
    let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "/._-+,=@%".contains($0) }
    return isPlain ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
  }
}
