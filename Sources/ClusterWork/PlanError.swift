// SPDX-License-Identifier: Apache-2.0

/// Errors of a plan. Cases carry facts; `description` puts them into words.
package enum PlanError: Error, Equatable, CustomStringConvertible {
  case cannotRead(path: String, reason: String)
  case cannotWrite(path: String, reason: String)
  case notAPlan(path: String)
  case otherFormat(path: String, format: Int)
  /// The plan contains a value that this version does not support.
  case unknown(String)
  /// Program, model, source or options have changed since the plan was made.
  case differs(path: String, [String])
  /// A plan with other options exists under this name.
  case exists(path: String, [String])
  case sourceMissing(path: String, reason: String)
  case noSuchShard(path: String, index: Int, count: Int)
  case unclearIndex(String)
  /// Pieces are missing or damaged: descriptions, and the shards they belong to.
  case incomplete(path: String, [String], shards: [Int])

  /// Whether a later attempt may succeed without changes.
  package var isTemporary: Bool {
    switch self {
    case .sourceMissing, .incomplete: true
    default: false
    }
  }

  /// One lower-case line.
  package var description: String {
    switch self {
    case .cannotRead(let path, let reason): "cannot open \(path): \(reason)"
    case .cannotWrite(let path, let reason): "cannot write plan \(path): \(reason)"
    case .notAPlan(let path): "\(path) is not a plan of this program, or is damaged"
    case .otherFormat(let path, let format):
      "plan \(path) has format \(format), this program supports \(FilmPlan.currentFormat)"
    case .unknown(let what): "the plan asks for \(what), which this program does not know"
    case .differs(let path, let lines): "plan \(path) does not fit: \(lines.joined(separator: "; "))"
    case .exists(let path, let lines):
      "\(path) already holds another plan: \(lines.joined(separator: "; "))"
    case .sourceMissing(let path, let reason): "the source \(path) cannot be opened: \(reason)"
    case .noSuchShard(let path, let index, let count):
      "there is no shard \(index) in \(path), which has \(count), from 0"
    case .unclearIndex(let detail): detail
    case .incomplete(let path, let lines, _): "\(path) is incomplete: \(lines.joined(separator: "; "))"
    }
  }

  /// A remedy in one lower-case line; nil if there is none.
  package var hint: String? {
    switch self {
    case .notAPlan, .otherFormat, .unknown: "make it with 'videnhance plan'"
    case .differs: "use what the plan was made with on all machines, or make a new plan"
    case .exists: "choose another name, or allow overwriting, which drops the pieces made for it"
    case .sourceMissing: "give its path on this machine"
    case .noSuchShard: "shards are counted from 0"
    case .unclearIndex: "name the shards to make"
    case .incomplete(let path, _, let shards):
      "videnhance shard \(path) --index \(IndexList.text(shards))"
    case .cannotRead, .cannotWrite: nil
    }
  }
}
