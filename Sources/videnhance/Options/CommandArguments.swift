// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import VideoIO

/// The words of the command line.
enum CommandArguments {
  /// The arguments of this process, byte for byte (see `FileName`), with `file://` URLs as paths.
  static var own: [String] {
    let words = CommandLine.unsafeArgv
    return (1..<max(1, Int(CommandLine.argc))).compactMap { index in
      words[index].map { word in
        path(
          of: FileName.text(
            UnsafeBufferPointer(start: word, count: strlen(word)).map(UInt8.init(bitPattern:))))
      }
    }
  }

  /// The path in a `file://` URL of this machine, as file managers hand them over; other words are returned unchanged.
  static func path(of word: String) -> String {
    guard let start = ["file:///", "file://localhost/"].first(where: { word.hasPrefix($0) }) else {
      return word
    }
    let escaped = "/" + word.dropFirst(start.count)
    return escaped.removingPercentEncoding ?? escaped
  }

  /// Rejects arguments that look like grouped short options. No short options can be grouped, so the argument is a file
  /// whose name begins with a dash, or a long option that lacks one.
  /// - Throws: `ValidationError`.
  static func check(_ arguments: [String]) throws {
    for (index, word) in arguments.enumerated() {
      if word == "--" { return }
      guard word.hasPrefix("-"), !word.hasPrefix("--"), word.count > 2 else { continue }
      // Skip negative numbers and the values of options.
      if Double(word) != nil || index > 0 && arguments[index - 1].hasPrefix("--") { continue }
      throw ValidationError(
        "unknown option '\(FileName.escaped(word))' (hint: a file of this name is written ./\(FileName.escaped(word)))"
      )
    }
  }

  /// Whether the arguments request `--progress json`, judged without parsing them.
  static func wantJSON(_ arguments: [String]) -> Bool {
    let words = arguments.prefix { $0 != "--" }
    return words.contains("--progress=json")
      || zip(words, words.dropFirst()).contains { $0 == "--progress" && $1 == "json" }
  }
}
