// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
package import VideoIO

/// The progress of the work on a plan.
package struct PlanStatus: Sendable {
  /// A shard and its pieces.
  package struct Shard: Encodable, Sendable {
    package var index, pieces, whole, frames, framesDone: Int
    package var bytes: Int
    /// Indices of pieces.
    package var missing: [Int] = []
    package var damaged: [Int] = []

    /// `done`, `begun` or `open`; `damaged` if a piece has to be made again.
    package var state: String {
      if !damaged.isEmpty { return "damaged" }
      return whole == pieces ? "done" : whole > 0 ? "begun" : "open"
    }

    private enum Key: String, CodingKey {
      case index, state, pieces, whole, frames, framesDone, bytes, missing, damaged
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(index, forKey: .index)
      try container.encode(state, forKey: .state)
      try container.encode(pieces, forKey: .pieces)
      try container.encode(whole, forKey: .whole)
      try container.encode(frames, forKey: .frames)
      try container.encode(framesDone, forKey: .framesDone)
      try container.encode(bytes, forKey: .bytes)
      try container.encode(missing, forKey: .missing)
      try container.encode(damaged, forKey: .damaged)
    }
  }

  package private(set) var shards: [Shard] = []
  /// The records of the complete pieces, in order.
  package private(set) var records: [PieceRecord] = []
  /// The faults of damaged pieces, one line each.
  package private(set) var faults: [String] = []
  /// Those faults that are due to another plan.
  package private(set) var foreign: [String] = []

  /// Examines the pieces of some shards.
  /// - Parameters:
  ///   - indices: indices of the shards; nil for all.
  ///   - readsAll: whether to verify every byte, rather than the lengths.
  package init(_ plan: FilmPlan, _ work: PieceJob, indices: [Int]? = nil, readsAll: Bool) {
    for (index, part) in plan.shards.enumerated() where indices?.contains(index) ?? true {
      var shard = Shard(index: index, pieces: part.count, whole: 0, frames: 0, framesDone: 0, bytes: 0)
      for segment in part.segments {
        let frames = plan.film.segments[segment].frames
        shard.frames += frames
        switch work.state(of: segment, readsAll: readsAll) {
        case .whole(let record):
          shard.whole += 1
          shard.framesDone += frames
          shard.bytes += record.bytes
          records.append(record)
        case .missing: shard.missing.append(segment)
        case .damaged(let reason):
          shard.damaged.append(segment)
          faults.append("piece \(segment) of shard \(index): \(reason)")
        case .foreign(let settings):
          shard.damaged.append(segment)
          let lines = FilmPlan.differences(settings, plan.settings)
          let what = lines.isEmpty ? "its frames are others" : lines.joined(separator: ", ")
          foreign.append("piece \(segment) of shard \(index) was made by another plan: \(what)")
          faults.append(foreign[foreign.count - 1])
        }
      }
      shards.append(shard)
    }
  }

  package var isComplete: Bool { shards.allSatisfy { $0.whole == $0.pieces } }

  /// Checks that all pieces are complete.
  /// - Throws: `PlanError.incomplete`, with the faults and the shards to run.
  package func requireComplete(path: String) throws(PlanError) {
    guard !isComplete else { return }
    let open = shards.filter { !$0.missing.isEmpty }
    var lines: [String] = []
    if !open.isEmpty {
      let pieces = open.flatMap(\.missing)
      lines.append(
        "\(pieces.count) \(pieces.count == 1 ? "piece is" : "pieces are") missing (\(IndexList.text(pieces)), "
          + "of \(open.count == 1 ? "shard" : "shards") \(IndexList.text(open.map(\.index))))"
      )
    }
    throw .incomplete(
      path: path, lines + faults, shards: shards.filter { $0.whole != $0.pieces }.map(\.index))
  }
}
