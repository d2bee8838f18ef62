// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ClusterWork
import EnhancementPipeline
import Foundation
import VideoIO

/// What the commands for clusters have in common: how they end.
enum ClusterRun {
  /// Runs work that signals end.
  /// - Parameter remains: what is left of work that was interrupted, in words.
  /// - Throws: `ExitCode` for all that went wrong, after it was told.
  static func run<Result: Sendable>(
    remains: String, _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    Interrupt.tellSignals()
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

  /// 75 for what may work later.
  static func exitCode(for error: any Error) -> ExitCode {
    switch error {
    case let error as PlanError where error.isTemporary: ExitCode(75)
    case let error as VideoIOError where error.isWorthRetry: ExitCode(75)
    default: .failure
    }
  }

  /// Where a path leads, wherever a process is begun.
  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : URL(fileURLWithPath: path).standardizedFileURL.path
  }

  /// The JSON of a value, with what steers a terminal escaped.
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return terminalJSON(try encoder.encode(value))
  }
}

/// Where the plan lies, and what is elsewhere on this machine.
struct PlanArguments: ParsableArguments {
  @Argument(help: "The plan, as 'videnhance plan' wrote it; its pieces lie beside it.", completion: .file())
  var plan: String

  @Option(
    help: ArgumentHelp(
      "The source where it lies on this machine (default: as in the plan).", valueName: "file"))
  var source: String?
}
