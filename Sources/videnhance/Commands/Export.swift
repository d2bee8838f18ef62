// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import ModelExport
import Videnhance

/// Exports a network for other runtimes.
struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a network as an ONNX file for other runtimes.",
    discussion: """
      Examples:
        videnhance export sr-x2-balanced-4bit -o sr.onnx
        videnhance export mine.safetensors -o mine.onnx --overwrite

      Full-precision networks become float convolutions, integer models QuantizeLinear and DequantizeLinear with their own \
      ranges (QDQ), opset 13. Packing and alignment of the frames are not in the file; docs/reference/model-format.md describes \
      the inputs and outputs.
      """)

  @Argument(
    help: "A model file, or the name of a shipped one, such as sr-x2-balanced-4bit.",
    completion: .list(ShippedModel.all.map(\.name))) var model: String
  @Option(name: [.short, .long], help: "The file to write.", completion: .file()) var output: String
  @Option(
    help: ArgumentHelp(
      "Noise level whose clipping ranges are written, for integer models with ranges per noise level.",
      valueName: "level"))
  var noise: Float = 25
  @Flag(help: "Replace the output if it exists.") var overwrite = false

  func validate() throws {
    if !(0...NoiseLevel.most).contains(noise) { throw ValidationError("--noise must be 0 to 63") }
  }

  func run() throws {
    if !overwrite, FileManager.default.fileExists(atPath: output) {
      throw ExportError(detail: "output \(output) exists (hint: choose another name, or pass --overwrite)")
    }
    let path = try Inspect.path(of: model)
    let bytes: Data
    do {
      let file = try Safetensors(path: path)
      bytes =
        try QuantizedModel.isQuantized(file)
        ? ONNXExport.file(QuantizedModel(file: file).atNoiseLevel(noise))
        : ONNXExport.file(NetworkWeights(file: file))
    } catch {
      if "\(error)".contains(path) { throw error }
      throw ExportError(detail: "\(path): \(error)")
    }
    do {
      // Written to a temporary file and renamed, so that no partial file ever has this name.
      try bytes.write(to: URL(fileURLWithPath: output), options: .atomic)
    } catch {
      throw ExportError(detail: "\(output) cannot be written: \(String(cString: strerror(errno)))")
    }
  }
}

/// The reason that a network cannot be exported.
struct ExportError: Error, CustomStringConvertible {
  var detail: String
  var description: String { "cannot export: \(detail)" }
}
