// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import VideoIO

/// A named set of ordinary options for a kind of source (docs/reference/presets.md).
struct Preset: Sendable, Equatable {
  var name: String
  /// Kind of source.
  var purpose: String
  /// Options, each with its value.
  var options: [[String]]

  /// The name of the preset that is chosen by the source.
  static let auto = "auto"

  static let all = [
    Preset(
      name: "phone", purpose: "phone video in low light: removes noise, keeps the size",
      options: [["--task", "denoise"], ["--noise", "auto"]]),
    Preset(
      name: "web", purpose: "clips from the web, compressed and soft: 1080 lines",
      options: [["--task", "sr"], ["--source", "real"], ["--to", "1080p"]]),
    Preset(
      name: "dvd", purpose: "interlaced DVDs and broadcasts: a frame of each frame, 1080 lines",
      options: [["--deinterlace"], ["--task", "sr"], ["--source", "real"], ["--to", "1080p"]]),
    Preset(
      name: "vhs", purpose: "digitised tapes: a frame of each field, less noise, 720 lines",
      options: [
        ["--deinterlace-fields"], ["--task", "denoise,sr"], ["--source", "real"], ["--to", "720p"],
      ]),
    Preset(
      name: "film", purpose: "scanned film: removes grain by a finer network, keeps the size",
      options: [["--task", "denoise"], ["--noise", "auto"], ["--bits", "8"]]),
    Preset(
      name: "anime", purpose: "drawn pictures with clean lines: twice the size",
      options: [["--task", "sr"], ["--source", "clean"], ["--scale", "2"]]),
  ]

  static func named(_ name: String) -> Preset? { all.first { $0.name == name.lowercased() } }

  /// All names, `auto` last.
  static var names: [String] { all.map(\.name) + [auto] }

  /// The options as typed on the command line.
  var text: String { options.map { $0.joined(separator: " ") }.joined(separator: " ") }
}

// MARK: - Choice by source

extension Preset {
  /// Returns the options for a source, by its measured properties.
  static func choice(for look: SourceLook) -> Preset {
    var options: [[String]] = []
    if look.isFlaggedInterlaced || look.isCombed { options.append(["--deinterlace"]) }
    let short = min(look.shownWidth, look.shownHeight)
    var tasks: [String] = []
    // With stronger compression the estimate mistakes texture for noise; the network for real footage handles
    // both.
    if look.noise >= EnhancementJob.forecastNoise, look.survey.isPristine { tasks.append("denoise") }
    // Compressed video of full size is large enough. A clean one needs no repair: use the settings of a run without a preset.
    if short >= 1000, !look.survey.isPristine {
      tasks.append("restore")
    } else if short < 1000 || tasks.isEmpty {
      tasks.append("sr")
    }
    options.append(["--task", tasks.joined(separator: ",")])
    if tasks != ["denoise"] { options.append(["--source", look.survey.isPristine ? "clean" : "real"]) }
    if tasks.contains("sr") {
      // Networks scale by four at most.
      options.append(
        short * 4 <= 1080 ? ["--scale", "4"] : short < 1000 ? ["--to", "1080p"] : ["--scale", "2"])
    }
    return Preset(name: auto, purpose: reasons(look), options: options)
  }

  /// Returns the properties that decided the choice, in one line.
  private static func reasons(_ look: SourceLook) -> String {
    let fields =
      look.isFlaggedInterlaced
      ? "interlaced by its flags" : look.isCombed ? "combed, though not flagged as interlaced" : "progressive"
    let noise = String(format: "%.1f", look.noise)
    return "\(look.shownWidth)x\(look.shownHeight), \(fields), noise of \(noise) levels, \(look.survey)"
  }
}

// MARK: - Arguments

extension Preset {
  /// Groups of options that exclude each other.
  private static let rivals: [Set<String>] = [
    ["--scale", "--to", "--height", "--width"],
    ["--deinterlace", "--deinterlace-fields", "--no-deinterlace"],
    ["--source", "--model-file"], ["--bits", "--model-file"],
  ]

  /// Options that require a task.
  private static let needs: [String: EnhancementTask] = [
    "--scale": .superResolution, "--to": .superResolution, "--noise": .denoising,
    "--strength": .denoising,
  ]

  /// Returns the preset's options that apply in addition to the given arguments, which take precedence;
  /// options without their task are dropped.
  func options(beside words: [String]) -> [[String]] {
    let words = words.prefix { $0 != "--" }
    let given = Set(words.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) })
    let tasks = Self.value(of: "--task", in: Array(words)).flatMap { TaskList(argument: $0) }?.tasks
    return options.filter { option in
      let name = option[0]
      if given.contains(name) { return false }
      if Self.rivals.contains(where: { $0.contains(name) && !$0.isDisjoint(with: given) }) { return false }
      if let tasks, let task = Self.needs[name], !tasks.contains(task) { return false }
      return true
    }
  }

  /// Returns the value of the last option of this name.
  static func value(of option: String, in words: [String]) -> String? {
    var result: String?
    for (index, word) in words.enumerated() {
      if word == "--" { break }
      if word == option, index + 1 < words.count { result = words[index + 1] }
      if word.hasPrefix(option + "=") { result = String(word.dropFirst(option.count + 1)) }
    }
    return result
  }

  /// Returns the last preset named by the arguments; nil for none, and for an encoder's preset.
  static func asked(in words: [String]) -> String? {
    var result: String?
    for (index, word) in words.enumerated() {
      if word == "--" { break }
      var value: String?
      if word == "--preset", index + 1 < words.count { value = words[index + 1] }
      if word.hasPrefix("--preset=") { value = String(word.dropFirst("--preset=".count)) }
      if let value, names.contains(value.lowercased()) { result = value.lowercased() }
    }
    return result
  }

  /// Returns the arguments with the preset's options inserted in front, after the command's name if there is
  /// one.
  func expanded(_ words: [String]) -> [String] {
    let added = options(beside: words).flatMap { $0 }
    let commands = ["enhance", "batch", "plan"]
    let isCommand = words.first.map { commands.contains($0) } ?? false
    return Array(words.prefix(isCommand ? 1 : 0)) + added + words.dropFirst(isCommand ? 1 : 0)
  }
}

/// A command whose preset may depend on its source.
protocol PresetChooser {
  /// The file to inspect, and how it is read; nil if each file is decided separately.
  var presetSource: (path: String, options: EnhancementJob.Options)? { get }
}

extension Preset {
  /// Commands that accept presets, by the first argument.
  private static func takesPresets(_ words: [String]) -> Bool {
    guard let first = words.first else { return false }
    return ["enhance", "batch", "plan"].contains(first) || !UsageHint.commands.contains(first)
  }

  /// Parses arguments, with the options of the preset that they name.
  /// - Throws: the parser's errors; `VideoIOError` if a source cannot be read.
  static func parse(_ words: [String]) throws -> any ParsableCommand {
    guard takesPresets(words), let name = asked(in: words) else {
      return try VidenhanceCommand.parseAsRoot(words)
    }
    if let preset = named(name) {
      let command = try VidenhanceCommand.parseAsRoot(preset.expanded(words))
      preset.report(beside: words, always: false)
      return command
    }
    let command = try VidenhanceCommand.parseAsRoot(words)
    guard let source = (command as? any PresetChooser)?.presetSource else { return command }
    if source.path == "-" {
      throw ValidationError(
        "--preset auto reads its source twice, which standard input cannot (hint: name one)")
    }
    let preset = choice(
      for: try SourceLook(path: source.path, options: source.options, threads: source.options.threads))
    let chosen = try VidenhanceCommand.parseAsRoot(preset.expanded(words))
    preset.report(beside: words, always: true)
    return chosen
  }

  /// Prints the options of the preset, unless progress is reported as JSON.
  private func report(beside words: [String], always: Bool) {
    guard always && !words.contains("--quiet") || words.contains("--verbose"),
      Self.value(of: "--progress", in: words) != "json"
    else { return }
    Console.line(line(beside: words))
  }

  /// Returns the line that lists the preset's options.
  func line(beside words: [String]) -> String {
    let options = options(beside: words).map { $0.joined(separator: " ") }.joined(separator: " ")
    let reason = name == Self.auto ? "\(purpose): " : ""
    return "preset \(name): \(reason)\(options.isEmpty ? "no further options" : options)"
  }
}
