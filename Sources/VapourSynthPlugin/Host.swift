// SPDX-License-Identifier: Apache-2.0
internal import CVapourSynth

/// VapourSynth's functions: the only place that calls them, one per method.
struct Host {
  private let api: CVSAPI
  private let core: OpaquePointer?

  init(_ api: UnsafePointer<CVSAPI>, core: OpaquePointer?) {
    self.api = api.pointee
    self.core = core
  }

  // MARK: - Filters

  /// Adds a filter to the result of a function; VapourSynth calls `free` when it destroys the filter.
  func createFilter(
    in result: OpaquePointer, name: String, _ info: CVSVideoInfo, source: OpaquePointer,
    instance: UnsafeMutableRawPointer, getFrame: CVSGetFrame, free: CVSFree
  ) {
    var info = info
    var dependency = CVSFilterDependency(source: source, requestPattern: Int32(CVS_GENERAL_PATTERN))
    api.createVideoFilter(
      result, name, &info, getFrame, free, Int32(CVS_PARALLEL_REQUESTS), &dependency, 1, instance, core)
  }

  func information(of node: OpaquePointer) -> CVSVideoInfo? { api.getVideoInfo(node)?.pointee }
  func free(node: OpaquePointer) { api.freeNode(node) }
  func setError(_ message: String, in result: OpaquePointer) { api.mapSetError(result, message) }

  /// Returns VapourSynth's name of a format, such as `YUV420P10`.
  func name(of format: CVSVideoFormat) -> String? {
    // The name has up to 32 characters.
    var (format, buffer) = (format, [CChar](repeating: 0, count: 33))
    guard api.getVideoFormatName(&format, &buffer) != 0 else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: - Requests

  func request(_ number: Int, of node: OpaquePointer, _ context: OpaquePointer) {
    api.requestFrameFilter(Int32(number), node, context)
  }

  /// Returns a requested frame; nil if it was not requested.
  func frame(_ number: Int, of node: OpaquePointer, _ context: OpaquePointer) -> OpaquePointer? {
    api.getFrameFilter(Int32(number), node, context)
  }

  func setError(_ message: String, for context: OpaquePointer) { api.setFilterError(message, context) }

  // MARK: - Frames

  /// Creates a frame with uninitialized samples and the properties of another.
  func makeFrame(
    _ format: CVSVideoFormat, width: Int, height: Int, like source: OpaquePointer
  ) -> OpaquePointer? {
    var format = format
    return api.newVideoFrame(&format, Int32(width), Int32(height), source, core)
  }

  func free(frame: OpaquePointer) { api.freeFrame(frame) }

  /// Returns the samples of a plane and its bytes per row; nil if they are in GPU memory.
  func plane(_ index: Int, of frame: OpaquePointer) -> (samples: UnsafePointer<UInt8>, bytesPerRow: Int)? {
    api.getReadPtr(frame, Int32(index)).map { ($0, api.getStride(frame, Int32(index))) }
  }

  func writablePlane(
    _ index: Int, of frame: OpaquePointer
  ) -> (samples: UnsafeMutablePointer<UInt8>, bytesPerRow: Int)? {
    api.getWritePtr(frame, Int32(index)).map { ($0, api.getStride(frame, Int32(index))) }
  }

  func properties(of frame: OpaquePointer) -> OpaquePointer? { api.getFramePropertiesRO(frame) }
  func writableProperties(of frame: OpaquePointer) -> OpaquePointer? { api.getFramePropertiesRW(frame) }

  // MARK: - Maps

  func has(_ key: String, in map: OpaquePointer?) -> Bool { api.mapNumElements(map, key) > 0 }

  /// Returns the first value of a key; nil if there is none of this type.
  func integer(_ key: String, in map: OpaquePointer?) -> Int? {
    var error: Int32 = 0
    let value = api.mapGetInt(map, key, 0, &error)
    return error == 0 ? Int(value) : nil
  }

  /// Returns the first value of a key, converted if it is an integer; nil if there is none of either type.
  func number(_ key: String, in map: OpaquePointer?) -> Double? {
    var error: Int32 = 0
    let value = api.mapGetFloat(map, key, 0, &error)
    return error == 0 ? value : integer(key, in: map).map(Double.init)
  }

  /// Returns the first value of a key; nil if there is none of this type.
  func text(_ key: String, in map: OpaquePointer?) -> String? {
    var error: Int32 = 0
    guard let bytes = api.mapGetData(map, key, 0, &error), error == 0 else { return nil }
    let count = Int(api.mapGetDataSize(map, key, 0, &error))
    return bytes.withMemoryRebound(to: UInt8.self, capacity: count) {
      String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
    }
  }

  /// Returns the first node of a key, which the caller frees; nil if there is none.
  func node(_ key: String, in map: OpaquePointer?) -> OpaquePointer? {
    var error: Int32 = 0
    let node = api.mapGetNode(map, key, 0, &error)
    return error == 0 ? node : nil
  }

  func set(_ key: String, to value: Int, in map: OpaquePointer?) {
    _ = api.mapSetInt(map, key, Int64(value), Int32(CVS_REPLACE))
  }

  func set(_ key: String, to value: Double, in map: OpaquePointer?) {
    _ = api.mapSetFloat(map, key, value, Int32(CVS_REPLACE))
  }
}
