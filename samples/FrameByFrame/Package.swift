// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// A package that uses videnhance as a library.
let package = Package(
  name: "FrameByFrame",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "videnhance", path: "../..")],
  targets: [
    .executableTarget(
      name: "FrameByFrame", dependencies: [.product(name: "Videnhance", package: "videnhance")])
  ]
)
