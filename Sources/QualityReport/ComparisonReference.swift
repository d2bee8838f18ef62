// SPDX-License-Identifier: Apache-2.0

/// What contenders are compared with. Figures such as PSNR mean nothing without it.
package struct ComparisonReference: Sendable, Equatable {
  /// Where it comes from.
  package enum Kind: String, Sendable {
    /// A file that the user named.
    case given
    /// The input itself, of which a degraded copy is enhanced.
    case original
    /// What full-precision networks make of the input: no truth, but what fewer bits should come close to.
    case network
    /// The first of the files.
    case first
  }

  package var kind: Kind
  /// Name of the file, or of the networks.
  package var name: String
  /// Further words on what was done.
  package var remark = ""

  package init(kind: Kind, name: String, remark: String = "") {
    self.kind = kind
    self.name = name
    self.remark = remark
  }

  /// One line for tables and pages.
  package var text: String {
    switch kind {
    case .given: "reference: \(name)"
    case .original: "reference: \(name), the original; enhanced is a copy of it, \(remark)"
    case .network: "reference: \(name) at 32 bits, not an original: figures tell what fewer bits change"
    case .first: "reference: \(name), the first file"
    }
  }
}

/// What a comparison came to.
package struct ComparisonOutcome {
  package var reference: ComparisonReference
  package var results: [ContenderResult]
  package var pictures: ComparisonPictures
}
