// SPDX-License-Identifier: Apache-2.0

/// An error that stops a training run.
package enum TrainingError: Error, Equatable, CustomStringConvertible {
  /// A line of `sections.tsv` is invalid.
  case badSections(path: String, line: Int)
  /// A cached file is shorter than described.
  case badCache(path: String)
  /// A clip is smaller than a training crop.
  case tooSmall(path: String)
  /// The data folder contains no training data.
  case noData(path: String)
  /// A filter did not return as many frames as it received.
  case badFilter(String)
  /// The degraded clips do not exist.
  case noDegradedClips(path: String)
  /// The loss is not finite.
  case diverged(step: Int)
  /// A checkpoint belongs to another network.
  case otherNetwork(path: String)
  /// A checkpoint belongs to a run with another optimizer.
  case otherOptimizer(path: String, OptimizerKind)

  /// One lower-case line for the user.
  package var description: String {
    switch self {
    case .badSections(let path, let line): "\(path): line \(line) is not a section"
    case .badCache(let path): "\(path) is damaged; delete it to decode the clip again"
    case .tooSmall(let path): "\(path) is too small to train on"
    case .noData(let path): "\(path) holds neither clips nor photographs to train on (hint: make data)"
    case .badFilter(let description): "filter \(description) changes the number or layout of frames"
    case .noDegradedClips(let path):
      "\(path) is missing; make the degraded clips first (hint: make data, or videnhance degrade)"
    case .diverged(let step): "training diverged at step \(step); lower --learning-rate"
    case .otherNetwork(let path): "checkpoint \(path) belongs to another network or run"
    case .otherOptimizer(let path, let kind):
      "checkpoint \(path) belongs to a run with another optimizer (hint: --optimizer \(kind.rawValue))"
    }
  }
}
