// SPDX-License-Identifier: Apache-2.0

/// The reference of a comparison, which gives figures such as PSNR their meaning.
package struct ComparisonReference: Sendable, Equatable {
  /// Origin of the reference.
  package enum Kind: String, Sendable {
    /// A file given by the user.
    case given
    /// The input itself; a degraded copy of it is enhanced.
    case original
    /// The output of full-precision networks: not ground truth, but the target of networks with fewer bits.
    case network
    /// The first of the files.
    case first
  }

  package var kind: Kind
  /// Name of the file, or of the networks.
  package var name: String
  /// Notes on how the comparison was made.
  package var remark = ""

  package init(kind: Kind, name: String, remark: String = "") {
    self.kind = kind
    self.name = name
    self.remark = remark
  }

  /// A description in one line, for tables and pages.
  package var text: String {
    switch kind {
    case .given: "reference: \(name)"
    case .original: "reference: \(name), the original; enhanced is a copy of it, \(remark)"
    case .network: "reference: \(name) at 32 bits, not an original: figures measure the loss by fewer bits"
    case .first: "reference: \(name), the first file"
    }
  }
}

/// Result of a comparison.
package struct ComparisonOutcome {
  package var reference: ComparisonReference
  package var results: [ContenderResult]
  package var pictures: ComparisonPictures
}
