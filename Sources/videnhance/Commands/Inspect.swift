// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import QualityReport
import Videnhance
import VideoIO

/// Shows the contents of a model file.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a model: network, cost, bits, ranges, origin.",
    discussion: """
      Examples:
        videnhance inspect denoise-balanced-4bit
        videnhance inspect mine.safetensors --json
      """)

  @Argument(
    help: "A model file, or the name of a shipped one, such as sr-x2-balanced-4bit.",
    completion: .list(ShippedModel.all.map(\.name))) var model: String
  @Flag(help: "Print JSON (docs/reference/json-output.md).") var json = false

  func run() throws {
    let path = try Self.path(of: model)
    let description: ModelDescription
    do {
      description = try ModelDescription(path: path)
    } catch {
      guard (try? VideoReader(path: path, threads: 1)) != nil else { throw error }
      throw InspectError(
        path: model, detail: "this is a video (hint: --dry-run shows what would be made of it)")
    }
    print(try json ? description.json() : FileName.escaped(description.text(), lines: true))
  }

  /// The path of a model; a file takes precedence over a shipped model of the same name.
  static func path(of model: String) throws -> String {
    if FileManager.default.fileExists(atPath: model) { return model }
    let file = model.hasSuffix(".safetensors") ? model : model + ".safetensors"
    if !model.contains("/"), let path = ResourceFolder.path(of: file) { return path }
    let names = ShippedModel.all.filter { $0.path != nil }.map(\.name)
    let near = UsageHint.nearest(to: model, among: names)
    let hint =
      near.map { "did you mean \($0)?" }
      ?? (names.first.map { "pass a file, or the name of a shipped model, such as \($0)" })
    throw NoModelError(path: model, hint: hint)
  }
}

/// A model that is neither a file nor a shipped one.
struct NoModelError: Error, CustomStringConvertible {
  var path: String
  var hint: String?
  var description: String {
    "cannot open model \(path): no such file" + (hint.map { " (hint: \($0))" } ?? "")
  }
}
