// SPDX-License-Identifier: Apache-2.0
internal import Kernels
package import LineEngine
package import Tensors

/// Turns windows of frames into network inputs: one tensor of 8-bit codes per slot, on the grid, where 128 is zero.
///
/// The centre frame is packed unchanged. With `WindowAlignment.block`, a neighbour's blocks are moved by whole-pixel vectors,
/// and the fractional motion is passed to the network as modulated copies of the samples: without the sub-pixel phase,
/// additional frames help a network little (docs/lab/networks.md). The trainer and all executors share this definition.
///
/// Not thread-safe. Caches prepared planes while their frames are in subsequent windows.
package final class WindowPacker {
  /// The network's architecture.
  package let architecture: Architecture

  private let threads: Int
  private let interpolation: InterpolationPacker
  private var prepared: [ObjectIdentifier: PreparedPlanes] = [:]
  /// Differences between neighbours in `prepared`, for noise estimation.
  private var changes: [FramePair: [Float]] = [:]
  /// The conditions under which `prepared` was computed.
  private var conditions = WindowConditions()

  /// Cached data of a frame.
  private struct PreparedPlanes {
    let frame: PlanarFrame
    /// The samples for the network.
    let plane: MotionPlane
    /// The samples for motion search.
    let search: MotionPlane
    let noiseLevel: Float
    /// Luma smoothed for motion search, kept if missing detail needs it, too; nil if the frame has little noise.
    var smoothed: [UInt8]?
    /// Input of noise estimation, for denoising.
    var survey: NoiseSurvey?
  }

  private struct FramePair: Hashable {
    let first, second: ObjectIdentifier
  }

  /// Creates a packer that uses `threads` threads.
  package init(_ architecture: Architecture, threads: Int = 1) {
    self.architecture = architecture
    self.threads = threads
    interpolation = InterpolationPacker(threads: threads)
  }

  /// The destination of a slot's codes.
  package typealias Destination = LineExecutor.Target

  /// Computes the motion of a window and everything else that its codes depend on.
  /// - Parameters:
  ///   - window: `architecture.window` frames of one size.
  ///   - instant: for interpolation, the instant between the two frames, 1 ..< `BetweenMotion.unit`.
  ///   - conditions: known properties of the source.
  package func prepare(
    _ window: [PlanarFrame], at instant: Int = BetweenMotion.unit / 2,
    given conditions: WindowConditions = WindowConditions()
  ) -> PreparedWindow {
    if architecture.task == .interpolation {
      let alignment = interpolation.align(window, at: instant)
      return PreparedWindow(
        frames: window, architecture: architecture, threads: threads, noiseCode: nil, alignment: alignment,
        fill: InterpolationPacker.rows(of: window, alignment))
    }
    if conditions != self.conditions { (prepared, changes) = ([:], [:]) }
    self.conditions = conditions
    let middle = window.count / 2
    let isAligned = architecture.alignment == .block && window.count > 1
    let reference = isAligned || architecture.takesNoiseLevel ? planes(of: window) : []
    let strength = architecture.task == .denoising ? conditions.strength : 1
    let noise =
      architecture.takesNoiseLevel
      ? NoiseLevel.code(strength * (conditions.noiseLevel ?? noiseLevel(of: reference))) : nil
    let motions = isAligned ? motions(reference) : []
    let quantizer =
      architecture.takesQuantizers
      ? Self.quantizerCode(QuantizerMap.mean(window.map(\.quantizers)), given: conditions) : nil
    let detail =
      architecture.takesSharpness
      ? MissingDetail(
        of: window[middle], sharpness: conditions.sharpness,
        smoothed: isAligned ? reference[middle].smoothed : nil, threads: threads) : nil
    // The last channel of neighbours; detail follows in the centre.
    let quantizerChannels = window.indices.map {
      architecture.channels(ofSlot: $0) - ($0 == middle && detail != nil ? MissingDetail.channels : 0) - 1
    }
    return PreparedWindow(
      frames: window, architecture: architecture, threads: threads, noiseCode: noise, alignment: nil
    ) { rows, targets in
      if let noise {
        Self.fill(noise, channel: Architecture.frameChannels, targets[middle], like: window[middle], rows)
      }
      for (slot, to) in targets.enumerated() {
        guard isAligned && slot != middle else {
          window[slot].pack(
            into: to.origin, pixelStride: to.pixelStride, rowStride: to.rowStride, rows: rows
          ) { $0 }
          continue
        }
        motions[slot]!.writeNeighbour(
          reference: reference[middle].plane, neighbour: reference[slot].plane, chroma: window[slot].chroma,
          into: to.origin, pixelStride: to.pixelStride, rowStride: to.rowStride, rows: rows)
      }
      guard let quantizer else { return }
      for (slot, to) in targets.enumerated() {
        Self.fill(quantizer, channel: quantizerChannels[slot], to, like: window[slot], rows)
      }
      detail?.write(channel: quantizerChannels[middle] + 1, to: targets[middle], rows: rows)
    }
  }

  /// Estimates the noise level of a window from all of its frames, which is more robust than from one.
  private func noiseLevel(of window: [PreparedPlanes]) -> Float {
    let surveys = window.compactMap(\.survey)
    guard surveys.count == window.count, window.count > 1 else {
      return window.map(\.noiseLevel).sorted()[window.count / 2]
    }
    var known: [FramePair: [Float]] = [:]
    for (first, second) in zip(window.indices, window.indices.dropFirst())
    where window[first].frame !== window[second].frame {
      let pair = FramePair(
        first: ObjectIdentifier(window[first].frame), second: ObjectIdentifier(window[second].frame))
      known[pair] = changes[pair] ?? surveys[first].difference(from: surveys[second])
    }
    changes = known
    return NoiseSurvey.level(of: surveys, changes: Array(known.values))
  }

  /// The motion into each neighbour, by slot.
  private func motions(_ planes: [PreparedPlanes]) -> [NeighbourMotion?] {
    let middle = planes.count / 2
    var result = [NeighbourMotion?](repeating: nil, count: planes.count)
    result.withUnsafeMutableBufferPointer { found in
      nonisolated(unsafe) let found = found  // Each side writes its own slots.
      // Search both temporal directions concurrently; within one, the nearer frame's motion seeds the search of the next.
      Parallel.bands(rows: 2, threads: threads) { sides, _ in
        for side in sides {
          var prior: NeighbourMotion?
          for distance in 1...middle {
            let slot = side == 0 ? middle - distance : middle + distance
            let motion = NeighbourMotion(
              of: planes[middle].search, in: planes[slot].search, prior: prior, priorFactor: distance)
            found[slot] = motion
            if distance == 1 { prior = motion }
          }
        }
      }
    }
    return result
  }

  /// The network's input for the window's mean quantizer, or that of the source if it is known.
  private static func quantizerCode(_ mean: UInt8?, given conditions: WindowConditions) -> UInt8 {
    mean.map { QuantizerMap.code(conditions.quantizer ?? $0) } ?? QuantizerMap.unknown
  }

  /// Sets a channel to the same code everywhere.
  private static func fill(
    _ code: UInt8, channel: Int, _ to: Destination, like frame: PlanarFrame, _ rows: Range<Int>
  ) {
    for y in rows {
      for x in 0..<frame.gridWidth {
        to.origin[y &* to.rowStride &+ x &* to.pixelStride &+ channel] = code
      }
    }
  }

  private func planes(of window: [PlanarFrame]) -> [PreparedPlanes] {
    // Drop frames that have left the window first, so that new ones reuse their memory.
    let keys = Set(window.map(ObjectIdentifier.init))
    prepared = prepared.filter { keys.contains($0.key) }
    return window.map { frame in
      let key = ObjectIdentifier(frame)
      let entry = prepared[key] ?? planes(of: frame)
      prepared[key] = entry
      return entry
    }
  }

  private func planes(of frame: PlanarFrame) -> PreparedPlanes {
    let plane = MotionPlane(luma: frame.luma, width: frame.width, height: frame.height)
    guard architecture.takesNoiseLevel else {
      return PreparedPlanes(frame: frame, plane: plane, search: plane, noiseLevel: 0)
    }
    let survey =
      architecture.task == .denoising && conditions.noiseLevel == nil ? NoiseSurvey(frame) : nil
    let level = survey?.level ?? NoiseLevel.estimate(frame)
    let isNoisy = conditions.noiseLevel.map { $0 > 2 } ?? survey?.isRough ?? (level > 2)
    guard architecture.alignment == .block && isNoisy else {
      return PreparedPlanes(frame: frame, plane: plane, search: plane, noiseLevel: level, survey: survey)
    }
    // Matching on noisy samples would prefer blocks with similar noise, which averaging would then preserve.
    let calm = frame.smoothedLuma(threads: threads)
    let search = calm.withUnsafeBufferPointer {
      MotionPlane(luma: $0.baseAddress!, width: frame.width, height: frame.height)
    }
    return PreparedPlanes(
      frame: frame, plane: plane, search: search, noiseLevel: level,
      smoothed: architecture.takesSharpness ? calm : nil, survey: survey)
  }

  /// Codes of one slot as a float tensor, (code - 128) / 255.
  package static func floats(_ codes: [UInt8], _ channels: Int, like frame: PlanarFrame) -> FloatTensor {
    let tensor = FloatTensor(height: frame.gridHeight, width: frame.gridWidth, channels: channels)
    codes.withUnsafeBufferPointer { codes in
      for i in 0..<codes.count { tensor.pointer[i] = PlanarFrame.centred(codes[i]) }
    }
    return tensor
  }

  /// The codes of a window with unknown conditions; see `PreparedWindow.codes`.
  package func codes(_ window: [PlanarFrame]) -> [[UInt8]] { prepare(window).codes() }

  /// The codes as float tensors; see `PreparedWindow.floats`.
  package func floatInputs(_ window: [PlanarFrame]) -> [FloatTensor] { prepare(window).floats() }
}
