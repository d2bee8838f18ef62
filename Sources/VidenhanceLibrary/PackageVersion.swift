// SPDX-License-Identifier: Apache-2.0

/// The version of the package: of the library, the program and its installers.
package enum PackageVersion {
  /// Read by the Makefile.
  package static let current = "0.1.0"
}
