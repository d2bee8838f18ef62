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
    abstract: "Make video larger, cleaner and smoother on the CPU.",
    usage: """
      videnhance [<options>] <input> <output>
      videnhance <subcommand>
      """,
    // A test holds the help to 40 lines.
    discussion: """
      Examples:
        videnhance in.mp4 out.mp4                     twice the width and height
        videnhance in.mp4 out.mp4 --preset auto       examines the video and decides
        videnhance in.mp4 out.mp4 --to 1080p --dry-run
        videnhance in.mkv out.mkv --task denoise,interp,sr --bits 8
        videnhance batch footage enhanced             all videos below a folder
        videnhance preview in.mp4 --task denoise      before and after, in seconds
      """,
    version: Version.current,
    groupedSubcommands: [
      CommandGroup(
        name: "Video",
        subcommands: [
          Enhance.self, Batch.self, Presets.self, Preview.self, Compare.self, PlanFilm.self, MakeShards.self,
          JoinShards.self, ShowStatus.self,
        ]),
      CommandGroup(
        name: "Other",
        subcommands: [
          Inspect.self, Export.self, Calibrate.self, Distill.self, Train.self, Degrade.self, Stamp.self,
          Doctor.self, Bench.self, Version.self,
        ]),
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
      if code == .validationFailure { exitWithUsage(error) }
      guard code == .failure, !(error is ExitCode) else { exit(withError: error) }
      Console.error(error)
      exit(withError: Console.exitCode(for: error))
    }
  }

  /// Ends with the parser's error and the usage; lists of valid values become part of the error's line.
  private static func exitWithUsage(_ error: any Error) -> Never {
    let message = message(for: error)
    guard message.contains(where: \.isNewline) else { exit(withError: error) }
    let whole = fullMessage(for: error)
      .replacing(message, with: Console.singleLine(message), maxReplacements: 1)
    Console.write(whole.hasSuffix("\n") ? whole : whole + "\n")
    exit(withError: ExitCode.validationFailure)
  }

  /// - Throws: the parser's errors, some of them in other words.
  private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
    do {
      return try Preset.parse(arguments)
    } catch {
      let message = message(for: error)
      guard let text = UsageHint.explanation(arguments, message: message) else { throw error }
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
