// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
public import Foundation
internal import Tensors
internal import VideoIO

/// What every error of this package conforms to; only `CancellationError` comes beside them.
///
/// `description` and `localizedDescription` are one lower-case line with the name of the file, if one is involved.
public protocol VidenhanceError: LocalizedError, CustomStringConvertible {
  /// Advice in one lower-case line; nil if there is none.
  var hint: String? { get }
}

extension VidenhanceError {
  /// The description.
  public var errorDescription: String? { description }
  /// The hint.
  public var recoverySuggestion: String? { hint }
}

extension VideoIOError: VidenhanceError {}
extension PipelineError: VidenhanceError {}
extension ModelError: VidenhanceError {}
extension ConvolutionError: VidenhanceError {
  var hint: String? { nil }
}
