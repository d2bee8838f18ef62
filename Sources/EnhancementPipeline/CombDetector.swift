// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// Tells combed frames, whose lines belong to two moments, from progressive ones, whatever their flags say.
///
/// For two frames in a row it measures, where something moves, how rough the later one is across its lines, as it is and with the
/// lines of either field taken from the frame before. Both mixtures of progressive frames are far rougher than the frame. The
/// fields of interlaced video are half a frame apart: one mixture is about as rough as the frame; the other, with fields that are a
/// frame and a half apart, is rougher. Telecined film behaves likewise in three frames of five. Fine detail, noise, scene cuts
/// and fades change both mixtures alike, and so does motion across the lines.
package struct CombDetector: Sendable {
  /// Of each so many frames, the first two are compared.
  private let stride: Int
  private var frameCount = 0
  private var earlier: FieldLines?
  /// Pairs that speak for combing, by the field that is shown first, and pairs that speak against it.
  private var topFirst = 0
  private var bottomFirst = 0
  private var progressive = 0

  /// Pairs with motion after which no more are needed to trust frames that are not combed.
  private static let enough = 24
  private static let fewest = 3

  package init(stride: Int = 12) { self.stride = max(2, stride) }

  /// What a user is told.
  package static let warning =
    "it looks interlaced although its frames are flagged as progressive: moving edges are combed (hint: --deinterlace)"

  /// Whether at least half of the pairs with motion, and three, are combed in the same order of fields.
  package var isCombed: Bool {
    let combed = max(topFirst, bottomFirst)
    return combed >= Self.fewest && 2 * combed >= topFirst + bottomFirst + progressive
  }

  /// Whether further frames are not worth looking at.
  package var isDecided: Bool { isCombed || progressive >= Self.enough }

  /// Takes the next frame of a video.
  package mutating func push(_ frame: VideoFrame) {
    switch frameCount % stride {
    case 0: earlier = FieldLines(frame)
    case 1:
      if let earlier { compare(earlier, FieldLines(frame)) }
      earlier = nil
    default: break
    }
    frameCount += 1
  }

  /// Compares two frames that follow each other.
  package mutating func compare(_ earlier: VideoFrame, _ later: VideoFrame) {
    compare(FieldLines(earlier), FieldLines(later))
  }

  private mutating func compare(_ earlier: FieldLines, _ later: FieldLines) {
    guard let roughness = FieldLines.roughness(earlier, later) else { return }
    let low = min(roughness.newTop, roughness.newBottom)
    let high = max(roughness.newTop, roughness.newBottom)
    // Two levels over and above the ratio: flat pictures are no evidence.
    if low <= 1.3 * roughness.frame, high >= 1.5 * low + 2 {
      if roughness.newTop < roughness.newBottom { topFirst += 1 } else { bottomFirst += 1 }
    } else if low > 1.3 * roughness.frame {
      progressive += 1
    }
  }
}

extension CombDetector {
  /// What the first frames of a file are.
  package enum Finding: Sendable { case progressive, combed, flagged }

  /// Frames that `look` decodes at most.
  private static let lookedAt = 48

  /// Decodes the first frames of the part of a file that `options` select.
  /// - Throws: the errors of opening it.
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

/// Groups of four lines of a frame, some distance apart: all that combing is judged by.
private struct FieldLines: Sendable {
  /// Lines of a group. The first is one of the top field.
  static let depth = 4
  /// Groups and columns that are looked at, about.
  private static let groups = 64
  private static let columns = 512

  let columns: Int
  /// Levels of 8 bits, line after line.
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

  /// Mean roughness across lines in levels, where something moves.
  struct Roughness {
    /// Of the frame as it is.
    var frame: Double
    /// Of its top field in the earlier frame, and of its bottom field there.
    var newTop, newBottom: Double
  }

  /// A difference in levels that is motion rather than noise.
  private static let motion: Int16 = 12

  /// Nil if too little moves, or if the frames differ in size.
  static func roughness(_ earlier: FieldLines, _ later: FieldLines) -> Roughness? {
    guard earlier.samples.count == later.samples.count, earlier.columns == later.columns else { return nil }
    let columns = later.columns
    var (whole, newTop, newBottom, count) = (0, 0, 0, 0)
    earlier.samples.withUnsafeBufferPointer { old in
      later.samples.withUnsafeBufferPointer { new in
        for group in Swift.stride(from: 0, to: new.count, by: depth * columns) {
          // The inner lines of a group are one of either field.
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
    // Of the lines inside the groups, which are half of all.
    guard count >= max(200, later.samples.count / 2 / 500) else { return nil }
    let scale = 1 / Double(count)
    return Roughness(
      frame: Double(whole) * scale, newTop: Double(newTop) * scale, newBottom: Double(newBottom) * scale)
  }
}
