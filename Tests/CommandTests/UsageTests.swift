// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import Kernels
import TestSupport
import Testing

@testable import VidenhanceTool

/// Tests the handling of arguments.
@Suite struct UsageTests {
  @Test(arguments: [
    ["in.mkv"], ["in.mkv", "out.mkv", "third.mkv"], ["in.mkv", "out.mkv", "--bits", "5"],
    ["in.mkv", "out.mkv", "--bits", "four"], ["in.mkv", "out.mkv", "--task", "paint"],
    ["in.mkv", "out.mkv", "--threads", "0"], ["in.mkv", "out.mkv", "--encoder-option", "keyint"],
    ["in.mkv", "out.mkv", "--encoder-option", "=3"], ["in.mkv", "out.mkv", "--crf", "low"],
    ["in.mkv", "out.mkv", "--task", "sr,sr"], ["in.mkv", "out.mkv", "--task", "interp,"],
    ["in.mkv", "out.mkv", "--factor", "2"], ["in.mkv", "out.mkv", "--task", "interp", "--factor", "1"],
    ["in.mkv", "out.mkv", "--task", "interp", "--fps", "0"],
    ["in.mkv", "out.mkv", "--task", "interp", "--fps", "50", "--factor", "2"],
    ["in.mkv", "out.mkv", "--task", "interp,sr", "--model-file", "m"], ["in.mkv", "out.mkv", "--wings"],
    ["in.mkv", "out.mkv", "--strength", "0.5"],
    ["in.mkv", "out.mkv", "--task", "denoise", "--strength", "2.1"],
    ["in.mkv", "out.mkv", "--task", "denoise", "--sharpness", "0.5"],
    ["in.mkv", "out.mkv", "--sharpness", "1.1"], ["in.mkv", "out.mkv", "--ensemble", "3"],
    ["in.mkv", "out.mkv", "--task", "denoise", "--strength", "nan"],
    ["in.mkv", "out.mkv", "--quiet", "--verbose"], ["in.mkv", "out.mkv", "--isa", "sse9"],
  ])
  func wrongUsageIsCode64(arguments: [String]) throws {
    let run = try Program.Run(arguments).finish()
    #expect(run.code == 64)
    #expect(run.output == "")
    #expect(run.errors.hasPrefix("Error: "))
  }

  @Test func errorForBadBitsListsTheValidOnes() throws {
    let run = try Program.run("in.mkv", "out.mkv", "--bits", "5")
    #expect(run.code == 64 && run.errorLines.first?.hasSuffix(": 2, 3, 4, 6, 8, 32") == true, "\(run.errors)")
    #expect(run.errors.contains("\nUsage: videnhance "), "\(run.errors)")
  }

  @Test func errorForMissingInstructionSetListsTheOthers() throws {
    let known = InstructionSet.supported.map(\.name)
    let unknown = try Program.run("in.mkv", "out.mkv", "--isa", "sse9")
    #expect(unknown.code == 64 && known.allSatisfy { unknown.errors.contains("'\($0)'") })
    let absent = try #require(InstructionSet.allCases.first { !$0.isSupported })
    let run = try Program.run("in.mkv", "out.mkv", "--isa", absent.name)
    #expect(run.code == 64 && run.errors.hasPrefix("Error: --isa \(absent.name): this machine has "))
    #expect(run.errors.contains(known.joined(separator: ", ")))
  }

  @Test func helpNamesEveryOption() throws {
    let general = try Program.run("--help")
    #expect(general.code == 0)
    for word in ["videnhance in.mp4 out.mp4", "--preset auto", "enhance (default)"] {
      #expect(general.output.contains(word))
    }
    let help = try Program.run("help", "enhance")
    #expect(help.code == 0 && help.errors == "")
    for word in ["Exit codes: 0 success", "130"] { #expect(help.output.contains(word)) }
    for option in [
      "--task", "--bits", "--model-file", "--codec", "--crf", "--preset", "--encoder-option", "--pix-fmt",
      "--container", "--audio", "--subtitles",
      "--threads", "--isa", "--overwrite", "--no-scene-cut", "--quiet", "--verbose", "--profile",
    ] { #expect(help.output.contains(option + " ") || help.output.contains(option + "\n")) }
  }

  /// The general help fits a screen, examples and all commands included.
  @Test func helpFitsAScreen() throws {
    let lines = try Program.run("--help").output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 41, "\(lines.count - 1) lines")
    #expect(lines.allSatisfy { $0.count <= 80 })
    #expect(lines.filter { $0.hasPrefix("  videnhance ") }.count >= 5)
    for command in UsageHint.commands where !["help", "stamp"].contains(command) {
      #expect(lines.contains { $0.hasPrefix("  \(command) ") }, "\(command)")
    }
  }

  /// Program, command and packages have the same version.
  @Test func version() throws {
    let run = try Program.run("--version")
    #expect(run.code == 0)
    #expect(run.output.split(separator: ".").count == 3)
    #expect(try Program.run("version").output == run.output)
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let make = try Program.Run(["-s", "version"], program: "/usr/bin/make", directory: root).finish()
    #expect(make.output == run.output)
  }

  @Test(arguments: [
    (["upscale", "a.mp4", "b.mp4"], "'upscale' (hint: did you mean 'videnhance a.mp4 b.mp4 --task sr'?)"),
    (
      ["denoise", "a.mp4", "b.mp4"], "'denoise' (hint: did you mean 'videnhance a.mp4 b.mp4 --task denoise'?)"
    ),
    (["deniose"], "'deniose' (hint: did you mean 'videnhance in.mp4 out.mp4 --task denoise'?)"),
    (["inspct", "m"], "'inspct' (hint: did you mean 'videnhance inspect'?)"),
    (["batc", "a", "b"], "'batc' (hint: did you mean 'videnhance batch'?)"),
    (["a.mp4", "b.mp4", "--task", "deniose"], "'deniose' (hint: did you mean --task denoise?)"),
    (["a.mp4", "b.mp4", "--task=sr,smooth"], "'smooth' (hint: did you mean --task interp?)"),
    (["enlarge", "a.mp4"], "'enlarge' (hint: did you mean 'videnhance a.mp4 --task sr'?)"),
    (["upsacle", "a.mp4"], "'upsacle' (hint: did you mean 'videnhance a.mp4 --task sr'?)"),
    (["deblur"], "'deblur' (hint: did you mean 'videnhance in.mp4 out.mp4 --task restore'?)"),
    (["slowmo"], "'slowmo' (hint: did you mean 'videnhance in.mp4 out.mp4 --task interp'?)"),
    (["fps"], "'fps' (hint: did you mean 'videnhance in.mp4 out.mp4 --task interp'?)"),
    (["interpolate"], "'interpolate' (hint: did you mean 'videnhance in.mp4 out.mp4 --task interp'?)"),
    (
      ["stabilize", "a.mp4", "b.mp4"],
      "'stabilize' (hint: this program does not stabilize; FFmpeg's filters vidstabdetect and vidstabtransform do)"
    ),
    (["deinterlace"], "'deinterlace' (hint: it is an option: videnhance in.mp4 out.mp4 --deinterlace)"),
    (["a.mp4", "b.mp4", "--task", "upscale"], "'upscale' (hint: did you mean --task sr?)"),
    (["a.mp4", "b.mp4", "--upscale", "2"], "'--upscale' (hint: did you mean --task sr --scale 2?)"),
    (["a.mp4", "b.mp4", "--denoise"], "'--denoise' (hint: did you mean --task denoise?)"),
    (["a.mp4", "b.mp4", "--model", "fsat"], "'fsat' of --model (hint: did you mean --model fast?)"),
    (["a.mp4", "b.mp4", "--source=rael"], "'rael' of --source (hint: did you mean --source real?)"),
    (["batch", "a", "b", "--balance", "sizes"], "'sizes' of --balance (hint: did you mean --balance size?)"),
    (["a.mp4", "b.mp4", "--progress", "jsno"], "'jsno' of --progress (hint: did you mean --progress json?)"),
  ])
  func similarWordsAreSuggested(arguments: [String], end: String) throws {
    let run = try Program.Run(arguments).finish()
    #expect(run.code == 64 && run.output == "")
    #expect(run.errorLines.first?.hasSuffix(end) == true, "\(run.errors)")
    #expect(run.errorLines.first?.hasPrefix("Error: there is no ") == true)
  }

  /// Arguments that are rejected before they are parsed, and parts of the error messages.
  @Test(arguments: [
    (["help", "enhnace"], "there is no command 'enhnace' (hint: did you mean 'videnhance help enhance'?)"),
    (["help", "foo"], "'foo' (hint: 'videnhance help' lists the commands)"),
    (["bench", "kernls"], "'bench kernls' (hint: did you mean 'videnhance bench kernels'?)"),
    (["help", "bench", "kernls"], "did you mean 'videnhance help bench kernels'?"),
    (
      ["encode", "a.mp4", "b.mp4"], "there is no command or file 'encode' (hint: name an input and an output"
    ),
    (["a", "b", "--gpu"], "computes on the CPU only"), (["a", "b", "--no-audio"], "sound is copied"),
    (["a", "b", "--fast"], "did you mean --model fast?"), (["a", "b", "--2x"], "did you mean --scale 2?"),
    (["a", "b", "--size", "1080p"], "did you mean --to 1080p?"),
    (["a", "b", "--resolution=1280x720"], "did you mean --to 720p?"),
    (["a", "b", "--size"], "did you mean --to?"), (["a", "b", "--to", "uhd"], "did you mean --to 4k?"),
    (["-i", "a", "b"], "no option '-i' (hint: name an input and an output"),
    (["a", "--output", "b"], "no option '--output' (hint: name an input and an output"),
    (["a", "b", "-y"], "did you mean --overwrite?"), (["a", "b", "-v"], "did you mean --verbose?"),
    (["a", "b", "--trim", "1"], "did you mean --start and --duration?"),
    (["completion", "bash"], "--generate-completion-script bash"), (["man"], "videnhance help <command>"),
    (["a", "b", "--audio", "cpoy"], "did you mean --audio copy?"),
    (["a", "b", "--subtitles=cpoy"], "did you mean --subtitles copy?"),
    (["a", "b", "--task", "sr,sr"], "names 'sr' twice"), (["a", "b", "--task", "sr,"], "lacks a name"),
    (["a", "b", "--pattern", "x.mkv"], "lacks {name}"), (["a", "b", "--pattern={nam}.mkv"], "lacks {name}"),
    (["a", "b", "--pattern", "b/{name}"], "has a slash"), (["a", "b", "--pattern", "{name}{x}"], "braces"),
  ])
  func wordsAreExplained(words: [String], part: String) throws {
    let error = #expect(throws: ValidationError.self) { try UsageHint.check(words) }
    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
  }

  @Test(arguments: [
    ["-", "-", "--task", "denoise, sr"], ["a", "b", "--to", "1080P"], ["preview", "a", "-o", "b"],
    ["preview", "a", "--output", "b"], ["bench", "kernels"], ["help"], ["help", "bench", "quality"],
    ["a", "b", "--pattern", "{name}-{bits}.{ext}"], ["a", "b", "--", "--gpu", "-y"],
  ])
  func validWordsPass(words: [String]) throws { try UsageHint.check(words) }

  /// Suggestions of the parser are kept only if they are near.
  @Test func parserMessagesAreReworded() {
    func text(_ words: [String], _ message: String) -> String? {
      UsageHint.explanation(words, message: message)
    }
    let far = "Unknown option '--vaapi'. Did you mean '--crf'?"
    #expect(text(["a.mp4", "b.mp4", "--vaapi"], far)?.hasPrefix("Unknown option '--vaapi' (hint: ") == true)
    #expect(text(["a.mp4", "b.mp4", "--crff"], "Unknown option '--crff'. Did you mean '--crf'?") == nil)
    #expect(
      text(["foo", "a.mp4", "b.mp4"], "Unexpected argument 'b.mp4'")?
        .hasPrefix("there is no command or file 'foo' (hint: ") == true)
    #expect(text(["a.mp4", "b.mp4", "c"], "Unexpected argument 'c'") == nil)
  }

  @Test func filesNamedLikeCommandsAreFiles() throws {
    let bench = try Workbench()
    try FileManager.default.moveItem(atPath: bench.makeVideo(), toPath: bench.path("upscale"))
    let run = try Program.run(
      "upscale", "out.mkv", "--model-file", bench.makeModel(), "--quiet",
      directory: URL(fileURLWithPath: bench.path("")))
    #expect(run.code == 0, "\(run.errors)")
    #expect(FileManager.default.fileExists(atPath: bench.path("out.mkv")))
    // Unknown names without similar commands are not replaced either.
    let other = try Program.run("holiday", "other.mkv", directory: URL(fileURLWithPath: bench.path("")))
    #expect(other.code == 1 && other.errors.contains("holiday"))
  }

  /// No synonym is itself the name of a command or task.
  @Test func synonymsAreNotNames() {
    let help = VidenhanceCommand.configuration.groupedSubcommands.flatMap(\.subcommands)
      .map { VidenhanceCommand.helpMessage(for: $0) }.joined()
    let options = Set(help.matches(of: /--[a-z][a-z-]*/).map { String($0.0) })
    for (word, meaning) in UsageHint.optionSynonyms {
      #expect(!options.contains(word), "\(word)")
      for option in meaning.split(separator: " ").map(String.init) where option.hasPrefix("--") {
        #expect(options.contains(option), "\(option)")
      }
    }
    for word in Array(UsageHint.commandSynonyms.keys) + Array(UsageHint.others.keys) {
      #expect(!UsageHint.commands.contains(word), "\(word)")
    }
    #expect(UsageHint.commandSynonyms.values.allSatisfy(UsageHint.commands.contains))
  }

  @Test func severalInputsAreForBatch() throws {
    let bench = try Workbench()
    for name in ["a.mkv", "b.mkv", "c.mkv"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: bench.path(name)))
    }
    let run = try Program.Run(["a.mkv", "b.mkv", "c.mkv", "out"], directory: bench.directory).finish()
    #expect(run.code == 64 && run.errors.contains("'videnhance batch <in-dir> <out-dir>'"), "\(run.errors)")
    #expect(run.errors.contains("c.mkv"), "\(run.errors)")
    try FileManager.default.createDirectory(atPath: bench.path("out"), withIntermediateDirectories: true)
    let one = try Program.Run(["a.mkv", "none.mkv", "out/"], directory: bench.directory).finish()
    #expect(one.code == 64 && one.errors.contains("'videnhance batch <in-dir>"), "\(one.errors)")
    // Other surplus words are left to the parser.
    let plain = try Program.Run(["a.mkv", "b.mkv", "c"], directory: bench.directory).finish()
    #expect(plain.code == 64 && plain.errors.contains("Unexpected argument 'c'"), "\(plain.errors)")
  }

  @Test func existingFolderTakesTheInputsName() throws {
    let bench = try Workbench()
    let model = try bench.makeModel()
    _ = try bench.makeVideo()
    try FileManager.default.createDirectory(atPath: bench.path("out"), withIntermediateDirectories: true)
    let arguments = ["in.mkv", "out", "--model-file", model, "--quiet"]
    let run = try Program.Run(arguments, directory: bench.directory).finish()
    #expect(run.code == 0, "\(run.errors)")
    #expect(try bench.entries("out/in.mkv", "width,height") == "width=192\nheight=128\n")
    let again = try Program.Run(arguments, directory: bench.directory).finish()
    #expect(again.code == 1 && again.errors.contains("out/in.mkv exists"), "\(again.errors)")
    // The input's own folder holds the input under that name.
    let same = try Program.Run(["in.mkv", ".", "--model-file", model], directory: bench.directory).finish()
    #expect(same.code == 1 && same.errorLines.count == 1, "\(same.errors)")
    #expect(bench.contents == ["in.mkv", "out", "zero.safetensors"])
    #expect(try Program.Run(["-", "out"], directory: bench.directory).finish().code == 64)
  }

  @Test func missingOutputIsProposed() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    for name in ["in/tape.vob", "my film.mkv"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: bench.path(name)))
    }
    func error(_ words: String...) throws -> String? {
      let run = try Program.Run(words, directory: bench.directory).finish()
      #expect(run.code == 64)
      return run.errorLines.first
    }
    let start = "Error: no output is named (hint: videnhance "
    #expect(try error("in/tape.vob", "--bits", "8") == start + "in/tape.vob in/tape-enhanced.mkv)")
    #expect(try error("enhance", "my film.mkv") == start + "'my film.mkv' 'my film-enhanced.mkv')")
    #expect(try error("in/") == start + "in in-enhanced)")
    #expect(try error("none.mkv") == "Error: Missing expected argument '<output>'")
  }

  /// Lists of valid values are part of the error's single line.
  @Test func choicesAreOneLine() {
    let text = "The value '5' is invalid. Please provide one of the following:\n  - 2\n  - 3\n"
    #expect(Console.singleLine(text) == "The value '5' is invalid. Please provide one of the following: 2, 3")
    #expect(Console.singleLine("a\n b\n") == "a; b")
  }

  /// With `--progress json`, wrong usage is reported as a JSON object.
  @Test(arguments: [
    (["a.mkv", "b.mkv", "--bits", "5", "--progress", "json"], 64, "--bits"),
    (["a.mkv", "--progress=json"], 64, "output"), (["deniose", "--progress", "json"], 64, "denoise"),
    (["a.mkv", "b.mkv", "--wings", "--progress", "json"], 64, "--wings"),
    (["batch", "none", "out", "--progress", "json"], 1, "none"),
  ])
  func errorsHonourJSON(arguments: [String], code: Int32, word: String) throws {
    let bench = try Workbench()
    let run = try Program.Run(arguments, directory: bench.directory).finish()
    #expect(run.code == code && run.output == "" && run.errorLines.count == 1, "\(run.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(run.errors.utf8)) as? [String: Any]
    #expect(Set(object?.keys.map { $0 } ?? []) == ["event", "error", "exitCode", "seconds"], "\(run.errors)")
    #expect(object?["event"] as? String == "failed" && object?["exitCode"] as? Int == Int(code))
    #expect((object?["error"] as? String)?.contains(word) == true, "\(run.errors)")
    // After a double dash, it is the name of a file.
    let plain = try Program.Run(["--bits", "5", "--", "--progress", "json"]).finish()
    #expect(plain.code == 64 && plain.errors.hasPrefix("Error: "))
  }

  @Test(arguments: [
    ("inspect", "inspect", 0), ("inspct", "inspect", 1), ("deniose", "denoise", 1), ("ab", "ba", 1),
    ("", "help", 4), ("kitten", "sitting", 3),
  ])
  func distancesCountMistakes(first: String, second: String, mistakes: Int) {
    #expect(UsageHint.distance(first, second) == mistakes)
    #expect(UsageHint.distance(second, first) == mistakes)
  }

  @Test func helpExplainsBits() throws {
    #expect(
      try Program.run("help", "enhance").output.replacing(#/\s+/#, with: " ").contains(
        "Bits of the weights in the body of the network; activations there use as many codes"))
    let four = try Program.run("inspect", "sr-x2-balanced-4bit")
    #expect(four.output.firstMatch(of: #/body: weights of 4 bits, activations of \d+/#) != nil)
    #expect(try !Program.run("inspect", "sr-x2-balanced").output.contains("body: weights"))
  }

  @Test func inspectedVideosAreRecognized() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2", "film.mkv")
    let done = try Program.run("inspect", bench.path("film.mkv"))
    #expect(
      done.code == 1 && done.errors.contains("film.mkv: this is a video (hint: --dry-run"), "\(done.errors)")
    try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: bench.path("noise.bin")))
    let other = try Program.run("inspect", bench.path("noise.bin"))
    #expect(other.code == 1 && !other.errors.contains("video ("), "\(other.errors)")
  }

  @Test func attentionIsDescribed() throws {
    let bench = try Workbench()
    let model = QuantizedModel.random(
      .small(window: 5, fusion: .attention, heads: 2), bits: 4, zeroPoints: true, seed: 1)
    try model.file.write(path: bench.path("m.safetensors"))
    let text = try Program.run("inspect", bench.path("m.safetensors")).output
    #expect(text.contains("fusion by attention of 2 heads of 8 channels"))
    for kind in ["query", "key", "value", "weight"] { #expect(text.contains("attention, \(kind)")) }
    let json = try Program.run("inspect", bench.path("m.safetensors"), "--json").output
    let table = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    let attention = try #require(table["attention"] as? [String: Any])
    #expect(attention["heads"] as? Int == 2)
    let operands = try #require(attention["operands"] as? [String: [[String: Any]]])
    #expect(operands.mapValues(\.count) == ["query": 1, "key": 5, "value": 5, "weight": 5])
    // Only networks that attend have heads.
    let wrong = try Program.run(
      "train", "--task", "sr", "--data", "d", "--steps", "1", "--checkpoint", "c", "--heads", "4")
    #expect(wrong.code == 64 && wrong.errors.contains("only attention has heads"))
  }

  /// Like an unpacked tar.gz: program and models in a folder with a space, started through two links.
  @Test func modelsAreFoundThroughLinks() throws {
    let bench = try Workbench()
    let files = FileManager.default
    let tree = bench.path("my programs/videnhance")
    for folder in ["bin", "share"] {
      try files.createDirectory(atPath: "\(tree)/\(folder)", withIntermediateDirectories: true)
    }
    try files.copyItem(atPath: Program.url.path, toPath: tree + "/bin/videnhance")
    let models = Program.url.deletingLastPathComponent()
      .appendingPathComponent("videnhance_EnhancementModel.resources").path
    try files.copyItem(atPath: models, toPath: tree + "/share/videnhance")
    try files.createSymbolicLink(
      atPath: bench.path("first"), withDestinationPath: "my programs/videnhance/bin/videnhance")
    try files.createSymbolicLink(atPath: bench.path("second"), withDestinationPath: bench.path("first"))
    let run = try Program.Run(
      ["doctor"], program: bench.path("second"), directory: URL(fileURLWithPath: "/")
    ).finish()
    #expect(run.code == 0)
    #expect(run.output.contains("models in"))
    #expect(run.output.contains(tree + "/share/videnhance"), "\(run.output)")
  }
}
