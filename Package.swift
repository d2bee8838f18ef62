// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
let strictC: [CSetting] = [.enableWarning("all"), .enableWarning("extra")]

let package = Package(
  name: "videnhance",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "videnhance", targets: ["VidenhanceTool"]),
    .library(name: "Videnhance", targets: ["Videnhance"]),
    .library(name: "videnhance-vapoursynth", type: .dynamic, targets: ["VapourSynthPlugin"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    // MARK: - C
    .systemLibrary(
      name: "CFFmpeg", pkgConfig: "libavfilter libavformat libavcodec libswscale libavutil",
      providers: [
        .apt(["libavfilter-dev", "libavformat-dev", "libavcodec-dev", "libswscale-dev", "libavutil-dev"]),
        .brew(["ffmpeg"]),
      ]),
    .systemLibrary(
      name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
    // Declarations only: nothing of VapourSynth is needed to compile them.
    .systemLibrary(name: "CVapourSynth"),
    .target(name: "CQuantKernels", cSettings: strictC),
    .target(name: "CDNNL", cSettings: strictC, linkerSettings: [.linkedLibrary("dnnl")]),
    // MARK: - Swift faces of C
    .target(
      name: "VideoIO",
      dependencies: [
        "CCrypto", "CFFmpeg", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(name: "Kernels", dependencies: ["CQuantKernels"], swiftSettings: strict),
    .target(name: "LineEngine", dependencies: ["CQuantKernels", "Kernels"], swiftSettings: strict),
    .target(name: "Tensors", dependencies: ["CDNNL", "CQuantKernels", "Kernels"], swiftSettings: strict),
    // MARK: - Library
    .target(
      name: "EnhancementModel", dependencies: ["Kernels", "LineEngine", "Tensors"],
      resources: [.process("Resources")],
      swiftSettings: strict),
    .target(
      name: "EnhancementPipeline", dependencies: ["EnhancementModel", "Kernels", "VideoIO"],
      swiftSettings: strict),
    .target(
      name: "QuantCalibration", dependencies: ["EnhancementModel", "Kernels", "Tensors"],
      swiftSettings: strict),
    .target(
      name: "Training", dependencies: ["EnhancementModel", "Kernels", "Tensors", "VideoIO"],
      swiftSettings: strict),
    .target(
      name: "Distillation",
      dependencies: ["EnhancementModel", "Kernels", "QuantCalibration", "Tensors", "Training"],
      swiftSettings: strict),
    .target(
      name: "ModelExport",
      dependencies: ["EnhancementModel", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["onnx.proto"], swiftSettings: strict),
    .target(
      name: "Videnhance", dependencies: ["EnhancementModel", "EnhancementPipeline", "VideoIO"],
      path: "Sources/VidenhanceLibrary", swiftSettings: strict),
    .target(
      name: "QualityReport",
      dependencies: ["EnhancementModel", "EnhancementPipeline", "Tensors", "Videnhance", "VideoIO"],
      resources: [.embedInCode("Resources/report.css"), .embedInCode("Resources/report.js")],
      swiftSettings: strict),
    .target(
      name: "BatchProcessing",
      dependencies: [
        "EnhancementPipeline", "VideoIO", .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: strict),
    .target(
      name: "ClusterWork",
      dependencies: ["EnhancementModel", "EnhancementPipeline", "VideoIO", "Videnhance"],
      swiftSettings: strict),
    // `make vapoursynth` packs it.
    .target(
      name: "VapourSynthPlugin",
      dependencies: ["CVapourSynth", "EnhancementModel", "EnhancementPipeline", "VideoIO", "Videnhance"],
      swiftSettings: strict),
    // MARK: - Tool
    // Not named like the program: on file systems that ignore case, its name would be that of the library product.
    .executableTarget(
      name: "VidenhanceTool",
      dependencies: [
        "BatchProcessing", "ClusterWork", "Distillation", "EnhancementModel", "EnhancementPipeline",
        "ModelExport", "QualityReport", "QuantCalibration",
        "Kernels", "Tensors", "Training", "VideoIO", "Videnhance",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
      ], path: "Sources/videnhance", swiftSettings: strict),
    // MARK: - Tests
    .testTarget(
      name: "TrainingTests",
      dependencies: ["Training", "EnhancementModel", "Kernels", "Tensors", "TestSupport", "VideoIO"],
      swiftSettings: strict),
    .testTarget(
      name: "DistillationTests",
      dependencies: [
        "Distillation", "EnhancementModel", "QuantCalibration", "Kernels", "Tensors", "TestSupport",
        "Training",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "QuantCalibrationTests",
      dependencies: ["QuantCalibration", "EnhancementModel", "Kernels", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "EnhancementModelTests", dependencies: ["EnhancementModel", "Kernels", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "ModelExportTests",
      dependencies: ["ModelExport", "EnhancementModel", "Kernels", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "TensorsTests", dependencies: ["Kernels", "Tensors"], swiftSettings: strict),
    .testTarget(
      name: "LineEngineTests", dependencies: ["Kernels", "LineEngine", "Tensors"], swiftSettings: strict),
    .testTarget(
      name: "KernelTests", dependencies: ["CEmulatedTiles", "CQuantKernels"], swiftSettings: strict),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "Tensors"], swiftSettings: strict),
    .testTarget(name: "VideoIOTests", dependencies: ["VideoIO"], swiftSettings: strict),
    .testTarget(
      name: "EnhancementPipelineTests",
      dependencies: [
        "EnhancementPipeline", "EnhancementModel", "Kernels", "Tensors", "TestSupport", "VideoIO",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "VidenhanceTests",
      dependencies: ["Videnhance", "EnhancementModel", "EnhancementPipeline", "TestSupport", "VideoIO"],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "VidenhanceTool", "BatchProcessing", "ClusterWork", "QualityReport", "EnhancementModel",
        "EnhancementPipeline", "Kernels", "Tensors", "TestSupport",
        "VideoIO",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "BatchProcessing", "EnhancementModel", "EnhancementPipeline", "Kernels", "Tensors", "TestSupport",
        "VidenhanceTool",
        "VideoIO",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    // Its folder `emulated` has an immintrin.h that goes before the compiler's.
    .target(
      name: "CEmulatedTiles", dependencies: ["CQuantKernels"], path: "Tests/CEmulatedTiles",
      exclude: ["emulated"], sources: ["tiles.c"],
      cSettings: strictC + [
        .headerSearchPath("emulated"), .headerSearchPath("../../Sources/CQuantKernels"),
      ]),
    .target(
      name: "TestSupport", dependencies: ["EnhancementModel", "Kernels", "Tensors"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
