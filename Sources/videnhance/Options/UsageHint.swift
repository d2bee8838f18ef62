// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation

/// Recognises misspelt commands and tasks, and the names that other programs use for them.
enum UsageHint {
  /// Other words for the tasks.
  static let synonyms: [EnhancementTask: Set<String>] = [
    .superResolution: [
      "upscale", "upscaling", "enlarge", "superres", "superresolution", "super-resolution", "scale",
    ],
    .restoration: ["restoration", "deblock", "deblur", "sharpen", "repair"],
    .denoising: ["denoising", "degrain", "noise"],
    .interpolation: ["interpolate", "interpolation", "smooth", "slowmo", "slow-motion"],
  ]

  /// Other words for commands.
  static let commandSynonyms = [
    "info": "inspect", "benchmark": "bench", "diff": "compare", "check": "doctor", "folder": "batch",
  ]

  static var commands: [String] {
    VidenhanceCommand.configuration.groupedSubcommands.flatMap(\.subcommands).map { $0._commandName }
      + ["help"]
  }

  /// Rejects a first word that is neither a command nor a file but resembles a command or a task, and a value of `--task`
  /// that resembles a task. Anything else is left to the parser.
  /// - Parameter words: the arguments without the program's name.
  /// - Throws: `ValidationError` with the nearest word.
  static func check(_ words: [String]) throws {
    if let first = words.first, let text = hint(command: first, rest: Array(words.dropFirst())) {
      throw ValidationError("there is no command or file '\(first)' (hint: \(text))")
    }
    for (index, word) in words.enumerated() {
      if word == "--" { return }
      let value: String
      if word == "--task", index + 1 < words.count {
        value = words[index + 1]
      } else if word.hasPrefix("--task=") {
        value = String(word.dropFirst("--task=".count))
      } else {
        continue
      }
      for name in value.split(separator: ",").map(String.init) {
        if let task = task(like: name) {
          throw ValidationError("there is no task '\(name)' (hint: did you mean --task \(task.rawValue)?)")
        }
      }
    }
  }

  private static func hint(command word: String, rest: [String]) -> String? {
    guard word.count > 1, word.allSatisfy({ $0.isASCII && ($0.isLetter || $0 == "-") }), word.first != "-",
      !commands.contains(word), !FileManager.default.fileExists(atPath: word)
    else { return nil }
    let command = commandSynonyms[word.lowercased()] ?? nearest(to: word, among: commands)
    if let command { return "did you mean 'videnhance \(command)'?" }
    // A task is not a command, but the default command runs one.
    guard let task = EnhancementTask(rawValue: word) ?? task(like: word) else { return nil }
    let files = rest.isEmpty ? "in.mp4 out.mp4" : rest.joined(separator: " ")
    return "did you mean 'videnhance \(files) --task \(task.rawValue)'?"
  }

  /// The task that a word resembles; nil if it is already the name of a task.
  static func task(like word: String) -> EnhancementTask? {
    let word = word.lowercased()
    let names = EnhancementTask.allCases.map(\.rawValue)
    guard !names.contains(word) else { return nil }
    if let task = synonyms.first(where: { $0.value.contains(word) })?.key { return task }
    return nearest(to: word, among: names).flatMap(EnhancementTask.init(rawValue:))
  }

  /// The closest of `names` by edit distance; nil if even that differs in more than one of four letters.
  static func nearest(to word: String, among names: [String]) -> String? {
    let ranked = names.map { (name: $0, distance: distance(word.lowercased(), $0)) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= max(word.count, best.name.count) / 4 ? best.name : nil
  }

  /// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours count 1 each.
  static func distance(_ first: String, _ second: String) -> Int {
    let (a, b) = (Array(first.utf8), Array(second.utf8))
    var rows = [Array(0...b.count)]
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
