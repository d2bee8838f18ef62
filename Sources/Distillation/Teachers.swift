// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Training

/// The teachers of one shard: the full-precision network and models of more bits than the student. They process one window
/// at a time, once; their outputs are stored in the window. Teachers are identified by index: 0 is full precision.
final class Teachers {
  private let full: FloatExecutor
  private let intermediates: [(pass: FakeQuantizedPass, streamStep: Float)]
  /// Real value of one unit of the student's stream; nil if streams are not compared.
  private let streamStep: Float?
  private let lastOperation: Int
  private let hasMask: Bool

  /// - Parameter weights: the full-precision network's weights, which executors may read in place.
  init(
    weights: ParameterSet, network: NetworkWeights, intermediates models: [QuantizedModel], side: Int,
    precision: FloatPrecision, streamStep: Float?
  ) throws {
    let graph = network.architecture.graph
    hasMask = network.architecture.isMasked
    self.streamStep = streamStep
    lastOperation = graph.operations.count - 1
    full = try FloatExecutor(
      graph: graph, batch: 1, height: side, width: side, precision: precision, training: false)
    try full.setWeights(weights)
    intermediates = try models.map { model in
      let pass = try FakeQuantizedPass(
        QuantizedParameters(model, weights: network), batch: 1, height: side, width: side,
        precision: precision)
      pass.setModel(model)
      return (pass, model.streamStep)
    }
  }

  /// The outputs of all teachers for a window. With a mask, only the total correction matters, since the student may divide it
  /// differently between residual and mask. So the residual channels contain the total, and the mask channels the warped
  /// frames' difference that the mask multiplies.
  func teach(_ window: TrainingWindow) throws -> [Teaching] {
    let frames = WindowPool.batch([window]).frames
    var stream: FloatTensor?
    let output = try full.run(frames: frames) { [lastOperation] operation, inputs in
      if operation == lastOperation { stream = inputs[0] }
    }
    var result = [
      Teaching(
        output: masked(Self.integers(output, scale: ResidualScale.unitsPerRange), window),
        stream: streamStep.map { Self.integers(stream, scale: 1 / $0) } ?? [])
    ]
    if intermediates.isEmpty { return result }
    let codes = Distiller.codes(frames)
    for (pass, step) in intermediates {
      let (output, trace) = try pass.forward(frames: codes)
      result.append(
        Teaching(
          output: masked(Self.integers(output, scale: 1), window),
          stream: streamStep.map { Self.integers(trace.stream, scale: step / $0) } ?? []))
    }
    return result
  }

  /// An output with the mask's contribution added to the residual, and the window's differences in the mask channels.
  private func masked(_ output: [Int16], _ window: TrainingWindow) -> [Int16] {
    guard hasMask else { return output }
    let count = Architecture.frameChannels
    return output.indices.map { i in
      if i % (2 * count) >= count { return window.target[i] }
      return Int16(
        BlendMask.added(
          residual: Int32(output[i]), mask: Int32(output[i + count]),
          difference: Int32(window.target[i + count]) / 64))
    }
  }

  private static func integers(_ tensor: FloatTensor?, scale: Float) -> [Int16] {
    guard let tensor else { return [] }
    return (0..<tensor.count).map {
      Int16(max(-32768, min(32767, roundToNearestEven(tensor.pointer[$0] * scale))))
    }
  }
}

/// The squared distance of the student's final stream from a teacher's, relative to the teacher's squared norm (the feature
/// term of PMQ-VE, eq. 4, but relative, since absolute squares of features are negligible beside the output loss).
struct StreamLoss {
  /// Weight relative to the output loss.
  var weight: Float

  /// Mean over the windows of |student - teacher|^2 / |teacher|^2 times `share` and the weight; adds its gradient with
  /// respect to the student's stream to `gradient`.
  func callAsFunction(
    _ student: FloatTensor, teachings: [[Int16]], share: Float, addTo gradient: FloatTensor
  ) -> Float {
    let size = student.count / teachings.count
    let factor = weight * share / Float(teachings.count)
    var total: Float = 0
    for (index, teacher) in teachings.enumerated() where teacher.count == size {
      let own = student.pointer + index * size
      let to = gradient.pointer + index * size
      let (distance, square) = teacher.withUnsafeBufferPointer { teacher in
        var (distance, square): (Float, Float) = (0, 0)
        for i in 0..<size {
          let wanted = Float(teacher[i])
          distance += (own[i] - wanted) * (own[i] - wanted)
          square += wanted * wanted
        }
        let scale = 2 * factor / max(square, 1)
        for i in 0..<size { to[i] += scale * (own[i] - Float(teacher[i])) }
        return (distance, max(square, 1))
      }
      total += factor * distance / square
    }
    return total
  }
}
