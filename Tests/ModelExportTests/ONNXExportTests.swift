// SPDX-License-Identifier: Apache-2.0
import Foundation
import SwiftProtobuf
import Tensors
import TestSupport
import Testing

@testable import EnhancementModel
@testable import ModelExport

@Suite struct ONNXExportTests {
  private static let architectures: [Architecture] = [
    .small(), .small(window: 1, blocks: 0), .small(window: 5, alignment: .none, blocks: 2, scale: 4),
    Architecture(
      task: .denoising, scale: 1, window: 3, alignment: .block, encoderChannels: 8, channels: 16, blocks: 1),
    .small(window: 5, fusion: .attention, heads: 2),
  ]

  private static func window(_ architecture: Architecture) -> [PlanarFrame] {
    var random = SplitMix64(seed: 5)
    return (0..<architecture.window).map { _ in
      let frame = PlanarFrame(width: 20, height: 14)
      for i in 0..<(20 * 14 * 3 / 2) { frame.luma[i] = UInt8(60 + random.index(130)) }
      return frame
    }
  }

  /// Returns the file's result for a window: residuals in 1/64 of a level, NHWC.
  private static func interpret(_ data: Data, _ architecture: Architecture, _ window: [PlanarFrame]) throws
    -> [Float]
  {
    let model = try Onnx_ModelProto(serializedBytes: data)
    let codes = WindowPacker(architecture, threads: 1).codes(window)
    var interpreter = Interpreter(model.graph)
    for slot in 0..<architecture.window {
      let channels = architecture.channels(ofSlot: slot)
      let floats = WindowPacker.floats(codes[slot], channels, like: window[0])
      interpreter.set("frame\(slot)", floats)
    }
    let output = try interpreter.run()
    return output.map { $0 * ResidualScale.unitsPerRange }
  }

  @Test(arguments: architectures) func floatsMatchTheExecutor(_ architecture: Architecture) throws {
    let weights = NetworkWeights.random(architecture, seed: 3, recipe: #"{"a":1}"#)
    let window = Self.window(architecture)
    let expected = try FloatNetwork(weights, width: 20, height: 14, threads: 1).predict(window).residual
    let result = try Self.interpret(ONNXExport.file(weights), architecture, window)
    #expect(result.count == 10 * 7 * architecture.outputChannels)
    var (largest, greatest) = (Float(0), Float(0))
    for (i, value) in result.enumerated() {
      let limited = max(-32768, min(32767, value))
      largest = max(largest, abs(limited - Float(expected.values[i])))
      greatest = max(greatest, abs(limited))
    }
    // Half a unit of rounding, and another order of summation.
    #expect(largest < 0.5 + greatest * 1e-4, "\(largest) of \(greatest)")
    #expect(greatest > 100)
  }

  @Test(arguments: [2, 4, 6, 8]) func integersAreCloseToTheEngine(bits: Int) throws {
    for architecture in Self.architectures {
      let model = QuantizedModel.random(architecture, bits: bits, zeroPoints: true, seed: UInt64(bits))
      let window = Self.window(architecture)
      let expected = try IntegerNetwork(model, width: 20, height: 14, threads: 1).predict(window).residual
      let result = try Self.interpret(ONNXExport.file(model), architecture, window)
      var (error, power) = (Float(0), Float(0))
      for (i, value) in result.enumerated() {
        let limited = max(-32768, min(32767, value))
        error += (limited - Float(expected.values[i])) * (limited - Float(expected.values[i]))
        power += limited * limited
      }
      // The file does not round the stream, so a code occasionally differs by one.
      #expect(error < power * 2e-3, "\(bits) bits: \((error / power).squareRoot())")
      #expect(power > 0)
    }
  }

  @Test func namesShapesAndVersions() throws {
    let model = QuantizedModel.random(.small(), bits: 4, zeroPoints: true, seed: 1)
    let file = try Onnx_ModelProto(serializedBytes: ONNXExport.file(model))
    #expect(file.irVersion == 7 && file.opsetImport.map(\.version) == [13])
    #expect(file.graph.input.map(\.name) == ["frame0", "frame1", "frame2"])
    #expect(file.graph.output.map(\.name) == ["residual"])
    #expect(file.graph.input[0].type.tensorType.shape.dim.map(\.dimParam) == ["", "", "height", "width"])
    #expect(file.metadataProps.first { $0.key == "videnhance.bits" }?.value == "4")
    // Every name is defined once, before its first use.
    var known = Set(file.graph.input.map(\.name) + file.graph.initializer.map(\.name))
    #expect(known.count == file.graph.input.count + file.graph.initializer.count)
    for node in file.graph.node {
      #expect(node.input.allSatisfy(known.contains), "\(node.name)")
      for name in node.output { #expect(known.insert(name).inserted, "\(name)") }
    }
    for tensor in file.graph.initializer {
      let size = tensor.dataType == Onnx_TensorProto.float ? 4 : 1
      #expect(tensor.rawData.count == tensor.dims.reduce(1, *) * Int64(size), "\(tensor.name)")
    }
  }
}

/// Interprets the operators of exported files in the simplest way.
private struct Interpreter {
  /// A tensor `[channels, height, width]`, or any other with its values only.
  private struct Tensor {
    var shape: [Int]
    var values: [Float]
  }

  private let graph: Onnx_GraphProto
  private var tensors: [String: Tensor] = [:]
  private var height = 0
  private var width = 0

  init(_ graph: Onnx_GraphProto) {
    self.graph = graph
    for tensor in graph.initializer {
      let bytes = [UInt8](tensor.rawData)
      let values: [Float] =
        switch tensor.dataType {
        case Onnx_TensorProto.float:
          stride(from: 0, to: bytes.count, by: 4).map { i in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[i + $1]) << UInt32(8 * $1) })
          }
        case Onnx_TensorProto.signed8: bytes.map { Float(Int8(bitPattern: $0)) }
        default: bytes.map { Float($0) }
        }
      tensors[tensor.name] = Tensor(shape: tensor.dims.map { Int($0) }, values: values)
    }
  }

  /// Sets an input, given as `[height, width, channels]`.
  mutating func set(_ name: String, _ tensor: FloatTensor) {
    (height, width) = (tensor.height, tensor.width)
    let points = height * width
    var values = [Float](repeating: 0, count: points * tensor.channels)
    for point in 0..<points {
      for c in 0..<tensor.channels {
        values[c * points + point] = tensor.pointer[point * tensor.channels + c]
      }
    }
    tensors[name] = Tensor(shape: [tensor.channels, height, width], values: values)
  }

  /// Returns the output as `[height, width, channels]`.
  mutating func run() throws -> [Float] {
    for node in graph.node { tensors[node.output[0]] = try result(of: node) }
    let output = try #require(tensors["residual"])
    let points = height * width
    return (0..<points).flatMap { point in (0..<output.shape[0]).map { output.values[$0 * points + point] } }
  }

  private func result(of node: Onnx_NodeProto) throws -> Tensor {
    let inputs = try node.input.map { try #require(tensors[$0], "\($0)") }
    var result = inputs[0]
    switch node.opType {
    case "Identity": break
    case "Relu": result.values = result.values.map { max($0, 0) }
    case "Add": result.values = zip(inputs[0].values, inputs[1].values).map(+)
    case "Sub": result.values = zip(inputs[0].values, inputs[1].values).map(-)
    case "Mul": result.values = zip(inputs[0].values, inputs[1].values).map(*)
    case "Div": result.values = zip(inputs[0].values, inputs[1].values).map(/)
    case "Exp": result.values = result.values.map { exp($0) }
    case "Sum":
      for other in inputs.dropFirst() { result.values = zip(result.values, other.values).map(+) }
    case "Max":
      for other in inputs.dropFirst() { result.values = zip(result.values, other.values).map { max($0, $1) } }
    case "Clip":
      result.values = result.values.map { max(inputs[1].values[0], min(inputs[2].values[0], $0)) }
    case "Concat":
      result.shape[0] = inputs.reduce(0) { $0 + $1.shape[0] }
      result.values = inputs.flatMap(\.values)
    case "QuantizeLinear":
      let (scale, zero) = (inputs[1].values[0], inputs[2].values[0])
      result.values = result.values.map { max(0, min(255, ($0 / scale).rounded(.toNearestOrEven) + zero)) }
    case "DequantizeLinear":
      let each = result.values.count / inputs[1].values.count
      result.values = result.values.enumerated().map { index, code in
        (code - inputs[2].values[index / each]) * inputs[1].values[index / each]
      }
    case "Conv": result = convolve(inputs)
    default: Issue.record("operator \(node.opType)")
    }
    return result
  }

  private func convolve(_ inputs: [Tensor]) -> Tensor {
    let (input, weight) = (inputs[0], inputs[1])
    let (outputs, channels, points) = (weight.shape[0], weight.shape[1], height * width)
    let (side, reach) = (weight.shape[2], weight.shape[2] / 2)
    var result = Tensor(
      shape: [outputs, height, width], values: [Float](repeating: 0, count: outputs * points))
    for o in 0..<outputs {
      for y in 0..<height {
        for x in 0..<width {
          var sum = inputs.count > 2 ? Double(inputs[2].values[o]) : 0
          for c in 0..<channels {
            for dy in -reach...reach where (0..<height).contains(y + dy) {
              for dx in -reach...reach where (0..<width).contains(x + dx) {
                sum +=
                  Double(weight.values[((o * channels + c) * side + dy + reach) * side + dx + reach])
                  * Double(input.values[c * points + (y + dy) * width + x + dx])
              }
            }
          }
          result.values[o * points + y * width + x] = Float(sum)
        }
      }
    }
    return result
  }
}
