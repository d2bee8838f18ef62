// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ClusterWork
import EnhancementPipeline
import Foundation
import VideoIO

/// Error handling and exit codes shared by the commands for clusters.
enum ClusterRun {
  /// Runs work that signals cancel.
  /// - Parameter remains: describes what interrupted work leaves behind.
  /// - Throws: `ExitCode` after any error, which has been printed.
  static func run<Result: Sendable>(
    remains: String, _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    Interrupt.distinguishSignals()
    do {
      return try await Interrupt.cancelling(work)
    } catch let code as ExitCode {
      throw code
    } catch is CancellationError {
      Console.line("videnhance: interrupted, \(remains)")
      throw ExitCode(Interrupt.exitCode)
    } catch let error as ValidationError {
      throw error
    } catch {
      Console.error(error)
      throw exitCode(for: error)
    }
  }

  /// Returns 75 for errors after which a later attempt may succeed, 64 for options that contradict each other.
  static func exitCode(for error: any Error) -> ExitCode {
    switch error {
    case let error as PlanError where error.isTemporary: ExitCode(75)
    case let error as VideoIOError where error.isWorthRetry: ExitCode(75)
    case VideoIOError.noPresets: .validationFailure
    default: .failure
    }
  }

  /// Returns an absolute path, which does not depend on a process's working directory.
  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : URL(fileURLWithPath: path).standardizedFileURL.path
  }

  /// Returns a value as JSON that is safe to print on a terminal.
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return terminalJSON(try encoder.encode(value))
  }
}

/// The plan, and paths that differ on this machine.
struct PlanArguments: ParsableArguments {
  @Argument(help: "The plan written by 'videnhance plan', with the pieces beside it.", completion: .file())
  var plan: String

  @Option(
    help: ArgumentHelp(
      "Path of the source on this machine (default: as in the plan).", valueName: "file"))
  var source: String?
}
