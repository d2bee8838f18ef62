// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel

/// The plugin's functions.
enum FilterKind: Int, CaseIterable {
  case superResolution = 1
  case denoise
  case interpolate
  case restore

  /// Name in scripts.
  var name: String {
    switch self {
    case .superResolution: "SuperResolution"
    case .denoise: "Denoise"
    case .interpolate: "Interpolate"
    case .restore: "Restore"
    }
  }

  /// Task of the function.
  var task: EnhancementTask {
    switch self {
    case .superResolution: .superResolution
    case .denoise: .denoising
    case .interpolate: .interpolation
    case .restore: .restoration
    }
  }

  /// Argument list in VapourSynth's notation.
  var arguments: String {
    let own =
      switch self {
      case .superResolution: "scale:int:opt;model:data:opt;source:data:opt;"
      case .denoise: "noise:float:opt;"
      case .restore: "model:data:opt;source:data:opt;"
      case .interpolate: "factor:int:opt;fps_num:int:opt;fps_den:int:opt;"
      }
    // Last, so that positional arguments keep their places.
    let added =
      switch self {
      case .denoise: "strength:float:opt;ensemble:int:opt;smoothing:int:opt;"
      case .superResolution, .restore: "sharpness:float:opt;ensemble:int:opt;smoothing:int:opt;"
      case .interpolate: "ensemble:int:opt;model:data:opt;"
      }
    return "clip:vnode;\(own)bits:int:opt;model_file:data:opt;cuts:data:opt;threads:int:opt;\(added)"
  }
}
