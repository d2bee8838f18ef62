// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
// Swift imports `stdout` as a mutable variable.
@preconcurrency import Foundation
import Kernels
import VideoIO

/// The program.
@main
struct VidenhanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "videnhance",
    abstract: "Make video sharper and larger with low-bit neural networks on the CPU.",
    usage: """
      videnhance [<options>] <input> <output>
      videnhance <subcommand>
      """,
    discussion: """
      Examples:
        videnhance in.mp4 out.mp4                     twice the width and height
        videnhance in.mkv out.mkv --bits 8 --crf 14   8-bit network, larger file
        videnhance in.mp4 out.mkv --codec libx265 --preset slow
        videnhance in.mp4 out.mp4 --task denoise,interp,sr
        videnhance in.mp4 out.mp4 --to 1080p --dry-run
        videnhance in.mp4 out.mp4 --preset auto       examines the video and decides
        ffmpeg -i in.avi -f yuv4mpegpipe - | videnhance - - | ffplay -
        videnhance batch footage enhanced             all videos below a folder
        videnhance plan in.mkv out.mkv -o plan.json   one film for many machines
        videnhance preview in.mp4 --task denoise      before and after, in seconds
        videnhance compare in.mp4 --task sr --degrade --also bicubic

      Sound, subtitles, chapters and tags are copied; timestamps, colour and bit depth stay as they are. \
      See 'videnhance help enhance' for all options.

      Exit codes: 0 success, 1 failure, 2 success but a stream was left out or, for a folder, some files failed, \
      64 usage error, 70 internal error or out of memory, 75 may succeed later (another run is writing the same output; \
      for 'plan', 'shard' and 'join' also a full disk, exhausted memory, or missing pieces), 130 interrupted, \
      143 the same by SIGTERM or SIGHUP for those.
      """,
    version: Version.current,
    groupedSubcommands: [
      CommandGroup(
        name: "Video", subcommands: [Enhance.self, Batch.self, Presets.self, Preview.self, Compare.self]),
      CommandGroup(
        name: "Cluster", subcommands: [PlanFilm.self, MakeShards.self, JoinShards.self, ShowStatus.self]),
      CommandGroup(
        name: "Network",
        subcommands: [
          Inspect.self, Export.self, Calibrate.self, Distill.self, Train.self, Degrade.self, Stamp.self,
        ]),
      CommandGroup(name: "Machine", subcommands: [Doctor.self, Bench.self, Version.self]),
    ],
    defaultSubcommand: Enhance.self)

  static func main() async {
    Collapse.install()
    // Line buffering even for files and pipes, for readers that follow the output.
    setvbuf(stdout, nil, _IOLBF, 0)
    #if canImport(Glibc)
      ThreadShortage.watch()
    #endif
    LargeBlocks.returnWhenFreed()
    let arguments = CommandArguments.own
    do {
      if let script = CompletionScript.requested(by: arguments) {
        print(script)
        return
      }
      try CommandArguments.check(arguments)
      try UsageHint.check(arguments)
      try checkEnvironment()
      var command = try parse(arguments)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      let code = exitCode(for: error)
      if CommandArguments.wantJSON(arguments), !(error is ExitCode), code != .success {
        let text = code == .failure ? Console.text(of: error) : message(for: error)
        let exitCode = code == .failure ? Console.exitCode(for: error) : code
        ProgressEvent(failed: Console.singleLine(text), exitCode: exitCode.rawValue).write()
        exit(withError: exitCode)
      }
      guard code == .failure, !(error is ExitCode) else { exit(withError: error) }
      Console.error(error)
      exit(withError: Console.exitCode(for: error))
    }
  }

  /// - Throws: the parser's errors, some of them in other words.
  private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
    do {
      return try Preset.parse(arguments)
    } catch {
      guard let text = UsageHint.severalInputs(arguments, message: message(for: error)) else { throw error }
      throw ValidationError(text)
    }
  }

  /// - Throws: `ValidationError` for a variable with an invalid value.
  private static func checkEnvironment() throws {
    let environment = ProcessInfo.processInfo.environment
    if let value = environment["VIDENHANCE_ISA"], !value.isEmpty, InstructionSet(argument: value) == nil {
      let names = InstructionSet.allCases.map(\.name).joined(separator: ", ")
      throw ValidationError("VIDENHANCE_ISA=\(value) is not an instruction set (hint: \(names))")
    }
    if let value = environment["VIDENHANCE_STRIP"], !value.isEmpty, value != "cache", Int(value) ?? 0 < 1 {
      throw ValidationError("VIDENHANCE_STRIP=\(value) is not a number of columns (hint: 256, or cache)")
    }
  }
}
