// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A failure of another program.
package struct OtherProgramError: Error, CustomStringConvertible {
  package let program: String
  package let detail: String

  package init(program: String, detail: String) {
    self.program = program
    self.detail = detail
  }

  package var description: String { "\(program): \(detail)" }
}

/// Runs other programs and waits for them.
package enum OtherProgram {
  /// The full path of a program: a name without a slash is searched in PATH.
  package static func path(of name: String) -> String {
    if name.contains("/") { return URL(fileURLWithPath: name).path }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/\(name)" }.first(where: FileManager.default.isExecutableFile) ?? name
  }

  /// Runs a program; terminates it if the task is cancelled.
  /// - Parameter folder: the working directory, which also stores its output temporarily.
  /// - Returns: its standard output.
  /// - Throws: `OtherProgramError` with the last line of its standard error if it cannot be started or fails.
  package static func run(_ program: String, _ arguments: [String], folder: String) async throws -> String {
    let (output, errors) = (folder + "/program.out", folder + "/program.err")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardInput = FileHandle.nullDevice
    for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    defer { for path in [output, errors] { try? FileManager.default.removeItem(atPath: path) } }
    guard let out = FileHandle(forWritingAtPath: output), let err = FileHandle(forWritingAtPath: errors)
    else {
      throw OtherProgramError(program: program, detail: "cannot write into \(folder)")
    }
    defer {
      try? out.close()
      try? err.close()
    }
    (process.standardOutput, process.standardError) = (out, err)
    do {
      try process.run()
    } catch {
      throw OtherProgramError(program: program, detail: "cannot be started")
    }
    do {
      while process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
    } catch {
      process.terminate()
      for _ in 0..<50 where process.isRunning { usleep(20_000) }
      if process.isRunning { kill(process.processIdentifier, SIGKILL) }
      process.waitUntilExit()
      throw error
    }
    func text(_ path: String) -> String {
      String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let last = text(errors).split(separator: "\n").last.map(String.init)
      throw OtherProgramError(
        program: program, detail: last ?? "ended with code \(process.terminationStatus)")
    }
    return text(output)
  }
}
