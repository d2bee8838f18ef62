// SPDX-License-Identifier: Apache-2.0
package import CVapourSynth
internal import EnhancementModel
internal import Videnhance
internal import VideoIO

/// Entry point, called by VapourSynth.
@_cdecl("VapourSynthPluginInit2")
package func initializePlugin(_ plugin: OpaquePointer?, _ api: UnsafePointer<CVSPluginAPI>?) {
  guard let plugin, let api = api?.pointee else { return }
  LibavLog.leaveToHost()
  // The models are beside the library, not beside the program, which may be any host.
  var library = CVSLibrary()
  if cvs_find_library(#dsohandle, &library) != 0, let path = library.path {
    ResourceFolder.useLibrary(at: String(cString: path))
  }
  _ = api.configPlugin(
    "org.videnhance.vapoursynth", "videnhance", "Enhances video with quantized networks",
    pluginVersion, Int32(CVS_API_VERSION), 0, plugin)
  for kind in FilterKind.allCases {
    // VapourSynth passes the index back with each call.
    _ = api.registerFunction(
      kind.name, kind.arguments, "clip:vnode;", createFilter,
      UnsafeMutableRawPointer(bitPattern: kind.rawValue),
      plugin)
  }
}

/// The package's version in VapourSynth's format: major << 16 | minor.
private var pluginVersion: Int32 {
  PackageVersion.current.split(separator: ".").prefix(2).compactMap { Int32($0) }.reduce(0) { $0 << 16 | $1 }
}

/// Handles a call of one of the plugin's functions.
private func createFilter(
  _ arguments: OpaquePointer?, _ result: OpaquePointer?, _ function: UnsafeMutableRawPointer?,
  _ core: OpaquePointer?,
  _ api: UnsafePointer<CVSAPI>?
) {
  guard let arguments, let result, let api, let kind = FilterKind(rawValue: Int(bitPattern: function)) else {
    return
  }
  let host = Host(api, core: core)
  do {
    let filter = try EnhancementFilter(kind, host, arguments)
    // Released by `freeFilter`.
    host.createFilter(
      in: result, name: kind.name, filter.info, source: filter.source,
      instance: Unmanaged.passRetained(filter).toOpaque(), getFrame: getFrame, free: freeFilter)
  } catch {
    host.setError("\(kind.name): \(text(of: error))", in: result)
  }
}

private func getFrame(
  _ number: Int32, _ reason: Int32, _ instance: UnsafeMutableRawPointer?,
  _: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ context: OpaquePointer?, _ core: OpaquePointer?,
  _ api: UnsafePointer<CVSAPI>?
) -> OpaquePointer? {
  guard let instance, let context, let api else { return nil }
  let filter = Unmanaged<EnhancementFilter>.fromOpaque(instance).takeUnretainedValue()
  let host = Host(api, core: core)
  switch Int(reason) {
  case CVS_INITIAL: filter.request(Int(number), context, host)
  case CVS_ALL_FRAMES_READY:
    do {
      return try filter.frame(Int(number), context, host)
    } catch {
      host.setError("\(filter.kind.name): \(text(of: error))", for: context)
    }
  default: break  // A frame of the clip could not be made; VapourSynth reports it.
  }
  return nil
}

private func freeFilter(
  _ instance: UnsafeMutableRawPointer?, _ core: OpaquePointer?, _ api: UnsafePointer<CVSAPI>?
) {
  guard let instance, let api else { return }
  let filter = Unmanaged<EnhancementFilter>.fromOpaque(instance).takeRetainedValue()
  Host(api, core: core).free(node: filter.source)
}

/// Returns an error message for scripts, which use arguments instead of options.
private func text(of error: any Error) -> String {
  if case ModelError.notShipped(let name) = error {
    return "no weights are shipped for \(name); pass a file as model_file"
  }
  return "\(error)"
}
