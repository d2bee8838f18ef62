// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import EnhancementModel
import EnhancementPipeline
import Foundation

// Values whose mistakes deserve more than a list of valid ones.
extension UsageHint {
  /// Rejects subcommands of `bench`, and commands after `help`, that do not exist.
  static func checkSubcommand(_ words: [String]) throws {
    let names = words.prefix { !$0.hasPrefix("-") }
    let tests = Bench.configuration.subcommands.map { $0._commandName }
    var path = names.first == "help" ? Array(names.dropFirst()) : Array(names)
    let prefix = names.first == "help" ? "help " : ""
    if !prefix.isEmpty, let word = path.first, !commands.contains(word) {
      let meant = commandSynonyms[word.lowercased()] ?? nearest(to: word, among: commands)
      throw ValidationError(
        "there is no command '\(word)' (hint: "
          + (meant.map { "did you mean 'videnhance help \($0)'?" } ?? "'videnhance help' lists the commands")
          + ")")
    }
    guard path.first == "bench", path.count > 1, !tests.contains(path[1]), path[1] != "help" else { return }
    let word = path.remove(at: 1)
    let meant = nearest(to: word, among: tests)
    throw ValidationError(
      "there is no command 'bench \(word)' (hint: "
        + (meant.map { "did you mean 'videnhance \(prefix)bench \($0)'?" }
          ?? "there are \(tests.joined(separator: ", "))") + ")")
  }

  static func check(tasks value: String) throws {
    let names = value.split(separator: ",", omittingEmptySubsequences: false).map {
      $0.trimmingCharacters(in: .whitespaces).lowercased()
    }
    for name in names {
      if let task = task(like: name) {
        throw ValidationError("there is no task '\(name)' (hint: did you mean --task \(task.rawValue)?)")
      }
      if let text = others[name] { throw ValidationError("there is no task '\(name)' (hint: \(text))") }
    }
    guard names.count > 1, TaskList(argument: value) == nil else { return }
    if names.contains("") {
      throw ValidationError(
        "--task '\(value)' lacks a name beside a comma (hint: several tasks are written denoise,sr)")
    }
    if let twice = names.first(where: { name in names.count(where: { $0 == name }) > 1 }) {
      throw ValidationError("--task names '\(twice)' twice (hint: each task runs once, in the given order)")
    }
  }

  static func check(size value: String) throws {
    guard !value.isEmpty, !value.hasPrefix("-"), TargetSizeOption(argument: value) == nil else { return }
    let hint =
      size(like: value).map { "did you mean --to \($0)?" }
      ?? "lines of the picture, from 16p to \(SizeGoal.most)p, such as 1080p; or 4k, 8k"
    throw ValidationError("there is no size '\(value)' (hint: \(hint))")
  }

  /// The value of `--to` that is meant by a number without its unit, both sides or a name; nil for others.
  static func size(like value: String) -> String? {
    let word = value.lowercased()
    let names = ["hd": "720p", "fhd": "1080p", "fullhd": "1080p", "qhd": "1440p", "2k": "1440p", "uhd": "4k"]
    if let name = names[word] { return name }
    let sides = word.split(whereSeparator: { "x*:".contains($0) }).map { Int($0) }
    guard (1...2).contains(sides.count), !sides.contains(nil), let lines = sides.compactMap({ $0 }).min(),
      TargetSizeOption(argument: "\(lines)p") != nil
    else { return nil }
    return "\(lines)p"
  }

  static func check(pattern value: String) throws {
    guard !value.isEmpty, NamePattern(value) == nil else { return }
    let reason =
      if value.contains("/") {
        "has a slash; names stay in the folder"
      } else if !value.contains("{name}") {
        "lacks {name}, without which all outputs would be one file"
      } else {
        "has other braces than those of {name}, {ext}, {task} and {bits}"
      }
    throw ValidationError("--pattern '\(value)' \(reason) (hint: such as '{name}-{task}.{ext}')")
  }
}
