// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import EnhancementModel
import Foundation
import Kernels
import Videnhance

/// Recognises misspelt commands, tasks and values, and the names that other programs use for them.
enum UsageHint {
  /// Other words for the tasks.
  static let synonyms: [EnhancementTask: Set<String>] = [
    .superResolution: [
      "upscale", "upscaling", "upsample", "enlarge", "resize", "superres", "superresolution",
      "super-resolution", "scale", "zoom", "2x", "x2", "4x", "x4", "hd", "4k",
    ],
    .restoration: ["restoration", "deblock", "deblur", "sharpen", "unblur", "repair", "dering"],
    .denoising: ["denoising", "degrain", "noise", "de-noise", "denoiser", "clean", "noise-reduction"],
    .interpolation: [
      "interpolate", "interpolation", "smooth", "slowmo", "slow-motion", "fps", "framerate", "frame-rate",
      "60fps",
    ],
  ]

  /// Other words for commands.
  static let commandSynonyms = [
    "benchmark": "bench", "diff": "compare", "check": "doctor", "folder": "batch",
    "show": "preview", "sample": "preview", "psnr": "compare", "vmaf": "compare", "merge": "join",
  ]

  /// Operations of other programs that are not tasks of this one, and what to do instead.
  static let others = [
    "deinterlace": "it is an option: videnhance in.mp4 out.mp4 --deinterlace",
    "stabilize": "this program does not stabilize; FFmpeg's filters vidstabdetect and vidstabtransform do",
    "stabilise": "this program does not stabilize; FFmpeg's filters vidstabdetect and vidstabtransform do",
    "deshake": "this program does not stabilize; FFmpeg's filters vidstabdetect and vidstabtransform do",
    "colorize": "this program adds no colour", "colourize": "this program adds no colour",
    "convert": plainArguments, "transcode": plainArguments, "encode": plainArguments, "run": plainArguments,
    "process": plainArguments,
    "resume": "it is an option: videnhance in.mp4 out.mp4 --resume",
    "completion": completion, "completions": completion,
    "man": "videnhance help <command>, or man videnhance",
    "info": description, "probe": description, "identify": description,
  ]

  private static let description =
    "videnhance inspect shows a model, --dry-run what would be made of a video, ffprobe what is in it"
  private static let completion =
    "videnhance --generate-completion-script bash, zsh or fish prints the script that the packages install"
  private static let plainArguments = "name an input and an output: videnhance in.mp4 out.mkv"

  /// Options of other programs that this one has no options for, and what to do instead.
  static let otherOptions = [
    "--gpu": "this program computes on the CPU only", "--cuda": "this program computes on the CPU only",
    "--device": "this program computes on the CPU only",
    "--cpu": "this program always computes on the CPU; --threads limits the number of cores",
    "--no-audio": noSound, "--an": noSound, "--mute": noSound,
  ]

  private static let noSound =
    "sound is copied; ffmpeg -i out.mp4 -map 0 -map -0:a -c copy silent.mp4 drops it"

  /// Options that name files in other programs. Some of this program's other commands have them.
  private static let fileOptions: Set = ["-i", "-o", "--input", "--output"]

  /// Options of other programs, and those of this one.
  static let optionSynonyms = [
    "--upscale": "--task sr --scale 2", "--enlarge": "--task sr --scale 2", "--zoom": "--task sr --scale 2",
    "--sr": "--task sr", "--denoise": "--task denoise", "--degrain": "--task denoise",
    "--deblur": "--task restore", "--sharpen": "--task restore", "--restore": "--task restore",
    "--interpolate": "--task interp", "--interp": "--task interp", "--slowmo": "--task interp --factor 2",
    "--smooth": "--task interp", "--framerate": "--task interp --fps", "--rate": "--task interp --fps",
    "--quality": "--crf", "--encoder": "--codec", "--vcodec": "--codec", "--force": "--overwrite",
    "--yes": "--overwrite", "--from": "--start", "--ss": "--start", "--length": "--duration",
    "--continue": "--resume", "--silent": "--quiet", "--workers": "--jobs", "--format": "--container",
    "--yadif": "--deinterlace", "--bwdif": "--deinterlace", "--fast": "--model fast", "--2x": "--scale 2",
    "--4x": "--scale 4", "--hd": "--to 720p", "--fullhd": "--to 1080p", "--uhd": "--to 4k", "--4k": "--to 4k",
    "--720p": "--to 720p", "--1080p": "--to 1080p", "--vsr": "--task sr", "--size": "--to",
    "--resolution": "--to", "--trim": "--start and --duration", "--debug": "--verbose",
  ]

  /// Options with a few values each.
  private static let values: [String: [String]] = [
    "--model": NetworkTier.allCases.map(\.rawValue), "--source": SourceKind.allCases.map(\.rawValue),
    "--progress": ProgressStyle.allCases.map(\.rawValue), "--balance": ShareBalance.allCases.map(\.rawValue),
    "--isa": InstructionSet.allCases.map(\.name), "--audio": StreamHandling.allCases.map(\.rawValue),
    "--subtitles": StreamHandling.allCases.map(\.rawValue),
  ]

  static var commands: [String] {
    VidenhanceCommand.configuration.groupedSubcommands.flatMap(\.subcommands).map { $0._commandName }
      + ["help"]
  }

  /// Rejects a first word that is neither a command nor a file but resembles a command or a task, values that resemble others,
  /// and options that other programs have. Anything else is left to the parser.
  /// - Parameter words: the arguments without the program's name.
  /// - Throws: `ValidationError` with the nearest word.
  static func check(_ words: [String]) throws {
    // The shell's request for completions while a line is typed.
    if words.first == "---completion" { return }
    if let first = words.first, let text = hint(command: first, rest: Array(words.dropFirst())) {
      throw ValidationError("there is no command or file '\(first)' (hint: \(text))")
    }
    try checkSubcommand(words)
    let isEnhancing =
      words.first.map { ["enhance", "batch"].contains($0) || !commands.contains($0) } ?? false
    for (index, word) in words.enumerated() {
      if word == "--" { return }
      if isEnhancing, fileOptions.contains(String(word.prefix { $0 != "=" })) {
        throw ValidationError("there is no option '\(word)' (hint: \(plainArguments))")
      }
      if word == "-y" { throw ValidationError("there is no option '-y' (hint: did you mean --overwrite?)") }
      if word == "-v" { throw ValidationError("there is no option '-v' (hint: did you mean --verbose?)") }
      guard word.hasPrefix("--") else { continue }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let value = parts.count == 2 ? parts[1] : index + 1 < words.count ? words[index + 1] : ""
      try check(option: parts[0], value: value)
    }
  }

  private static func check(option: String, value: String) throws {
    if let known = optionSynonyms[option] {
      // "--size 1080p"
      let isSize = TargetSizeOption(argument: value) != nil
      let given = known == "--to" ? isSize ? value : size(like: value) : nil
      let meant = known + (given.map { " " + $0 } ?? "")
      throw ValidationError("there is no option '\(option)' (hint: did you mean \(meant)?)")
    }
    if let text = otherOptions[option] {
      throw ValidationError("there is no option '\(option)' (hint: \(text))")
    }
    switch option {
    case "--task": try check(tasks: value)
    case "--to": try check(size: value)
    case "--pattern": try check(pattern: value)
    default: break
    }
    if let known = values[option], !known.contains(value), let near = nearest(to: value, among: known) {
      throw ValidationError(
        "there is no value '\(value)' of \(option) (hint: did you mean \(option) \(near)?)")
    }
  }

  private static func hint(command word: String, rest: [String]) -> String? {
    guard isName(word), !commands.contains(word),
      !FileManager.default.fileExists(atPath: word)
    else { return nil }
    let command = commandSynonyms[word.lowercased()] ?? nearest(to: word, among: commands)
    if let command { return "did you mean 'videnhance \(command)'?" }
    if let text = others[word.lowercased()] { return text }
    // A task is not a command, but the default command runs one.
    guard let task = EnhancementTask(rawValue: word) ?? task(like: word) else { return nil }
    let files = rest.isEmpty ? "in.mp4 out.mp4" : rest.joined(separator: " ")
    return "did you mean 'videnhance \(files) --task \(task.rawValue)'?"
  }

  /// Whether a word can be a command's name.
  static func isName(_ word: String) -> Bool {
    word.count > 1 && word.first != "-"
      && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
  }

  /// The task that a word resembles; nil if it is already the name of a task.
  static func task(like word: String) -> EnhancementTask? {
    let word = word.lowercased()
    let names = EnhancementTask.allCases.map(\.rawValue)
    guard !names.contains(word) else { return nil }
    if let task = synonyms.first(where: { $0.value.contains(word) })?.key { return task }
    if let name = nearest(to: word, among: names) { return EnhancementTask(rawValue: name) }
    // "upsacle": near another word for it.
    return EnhancementTask.allCases.first { task in
      nearest(to: word, among: synonyms[task, default: []].filter { $0.count > 4 }.sorted()) != nil
    }
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
