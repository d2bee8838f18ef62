// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// Distinguishes combed frames, whose lines come from two moments, from progressive ones by their content.
///
/// Compares two successive frames: measures the roughness of the later one across its lines, where there is
/// motion, as it is and with the lines of either field replaced by those of the earlier frame. In progressive
/// video both mixtures are far rougher than the frame. The fields of interlaced video are half a frame apart:
/// one mixture is about as rough as the frame; the other combines fields one and a half frames apart and is
/// rougher. Telecined film does the same in three frames of five. Fine detail, noise, scene cuts, fades and
/// motion across the lines change both mixtures alike.
package struct CombDetector: Sendable {
  /// Period in frames; the first two frames of each period are compared. At the beginning it is shorter, for short clips.
  private let stride: Int
  private var frameCount = 0
  private var earlier: FieldLines?
  /// Pairs with evidence for combing, by the field shown first, and pairs with evidence against it.
  private var topFirst = 0
  private var bottomFirst = 0
  private var progressive = 0

  /// Number of pairs with motion after which frames without combing are trusted.
  private static let enough = 24
  private static let fewest = 3

  package init(stride: Int = 12) { self.stride = max(2, stride) }

  /// The warning for users.
  package static let remark = MediaRemark(
    .fields, "it looks interlaced although its frames are flagged as progressive: moving edges are combed",
    remedy: .deinterlacingAnyway)

  /// Whether at least half of the pairs with motion, and at least three, are combed in the same field order.
  package var isCombed: Bool {
    let combed = max(topFirst, bottomFirst)
    return combed >= Self.fewest && 2 * combed >= topFirst + bottomFirst + progressive
  }

  /// Whether enough frames have been compared.
  package var isDecided: Bool { isCombed || progressive >= Self.enough }

  /// Adds the next frame of a video.
  package mutating func push(_ frame: VideoFrame) {
    switch frameCount % (frameCount < Self.lookedAt ? min(stride, 4) : stride) {
    case 0: earlier = FieldLines(frame)
    case 1:
      if let earlier { compare(earlier, FieldLines(frame)) }
      earlier = nil
    default: break
    }
    frameCount += 1
  }

  /// Compares two successive frames.
  package mutating func compare(_ earlier: VideoFrame, _ later: VideoFrame) {
    compare(FieldLines(earlier), FieldLines(later))
  }

  private mutating func compare(_ earlier: FieldLines, _ later: FieldLines) {
    guard let roughness = FieldLines.roughness(earlier, later) else { return }
    let low = min(roughness.newTop, roughness.newBottom)
    let high = max(roughness.newTop, roughness.newBottom)
    // Two levels on top of the ratio: flat pictures are no evidence.
    if low <= 1.3 * roughness.frame, high >= 1.5 * low + 2 {
      if roughness.newTop < roughness.newBottom { topFirst += 1 } else { bottomFirst += 1 }
    } else if low > 1.3 * roughness.frame {
      progressive += 1
    }
  }
}

extension CombDetector {
  /// Classification of the first frames of a file.
  package enum Finding: Sendable { case progressive, combed, flagged }

  /// Most frames that `look` decodes.
  private static let lookedAt = 48

  /// Decodes the first frames of the part of a file selected by `options`.
  /// - Throws: an error if the file cannot be opened.
  package static func look(at path: String, options: EnhancementJob.Options) throws -> Finding {
    var options = options
    options.deinterlacing = nil
    var frames = try SourceFrames(
      path: path, options: options, threads: options.threads, refusesFields: false)
    var detector = CombDetector(stride: 4)
    for _ in 0..<lookedAt {
      guard let frame = try frames.next() else { break }
      if frame.isInterlaced { return .flagged }
      detector.push(frame)
      if detector.isDecided { break }
    }
    return detector.isCombed ? .combed : .progressive
  }
}

/// Groups of four lines of a frame, some distance apart: the only samples that comb detection uses.
private struct FieldLines: Sendable {
  /// Lines of a group; the first belongs to the top field.
  static let depth = 4
  /// Approximate number of groups and of columns sampled.
  private static let groups = 64
  private static let columns = 512

  let columns: Int
  /// Samples in 8-bit levels, line by line.
  let samples: [Int16]

  init(_ frame: VideoFrame) {
    func gather<Sample: SampleInteger>(_: Sample.Type) -> (Int, [Int16]) {
      let shift = frame.format.bitDepth - 8
      let distance = max(Self.depth, frame.height / Self.groups / 2 * 2)
      let stride = max(1, frame.width / Self.columns)
      let columns = (frame.width + stride - 1) / stride
      var samples: [Int16] = []
      samples.reserveCapacity(columns * Self.depth * (frame.height / distance + 1))
      SourcePlane<Sample>.with(frame, 0) { plane in
        for start in Swift.stride(from: 0, through: plane.height - Self.depth, by: distance) {
          for line in 0..<Self.depth {
            let row = plane.row(start + line)
            for x in Swift.stride(from: 0, to: plane.width, by: stride) {
              samples.append(Int16(truncatingIfNeeded: UInt32(truncatingIfNeeded: row[x]) &>> UInt32(shift)))
            }
          }
        }
      }
      return (columns, samples)
    }
    (columns, samples) =
      frame.format.bytesPerSample == 1 ? gather(UInt8.self) : gather(UInt16.self)
  }

  /// Mean roughness across lines in 8-bit levels, where there is motion.
  struct Roughness {
    /// Roughness of the frame as it is.
    var frame: Double
    /// Roughness with the top field of the earlier frame, and with its bottom field.
    var newTop, newBottom: Double
  }

  /// Difference in levels above which a change is motion rather than noise.
  private static let motion: Int16 = 12

  /// Returns the roughness, or nil if too little moves or the frames differ in size.
  static func roughness(_ earlier: FieldLines, _ later: FieldLines) -> Roughness? {
    guard earlier.samples.count == later.samples.count, earlier.columns == later.columns else { return nil }
    let columns = later.columns
    var (whole, newTop, newBottom, count) = (0, 0, 0, 0)
    earlier.samples.withUnsafeBufferPointer { old in
      later.samples.withUnsafeBufferPointer { new in
        for group in Swift.stride(from: 0, to: new.count, by: depth * columns) {
          // The inner two lines of a group are one of each field.
          for line in 1..<(depth - 1) {
            let isTop = line % 2 == 0
            for x in 0..<columns {
              let middle = group + line * columns + x
              let (above, below) = (middle - columns, middle + columns)
              guard
                abs(new[middle] - old[middle]) > motion || abs(new[above] - old[above]) > motion
                  || abs(new[below] - old[below]) > motion
              else { continue }
              func bend(_ outer: UnsafeBufferPointer<Int16>, _ inner: UnsafeBufferPointer<Int16>) -> Int {
                abs(Int(outer[above]) - 2 * Int(inner[middle]) + Int(outer[below]))
              }
              whole += bend(new, new)
              newTop += isTop ? bend(old, new) : bend(new, old)
              newBottom += isTop ? bend(new, old) : bend(old, new)
              count += 1
            }
          }
        }
      }
    }
    // Only lines inside the groups count: half of all.
    guard count >= max(200, later.samples.count / 2 / 500) else { return nil }
    let scale = 1 / Double(count)
    return Roughness(
      frame: Double(whole) * scale, newTop: Double(newTop) * scale, newBottom: Double(newBottom) * scale)
  }
}
