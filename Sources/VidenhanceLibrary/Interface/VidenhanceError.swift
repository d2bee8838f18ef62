// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
public import Foundation
internal import Tensors
internal import VideoIO

/// The protocol of all errors thrown by this package, apart from `CancellationError`.
///
/// `description` and `localizedDescription` are one lower-case line, with the name of the file if there is
/// one.
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
