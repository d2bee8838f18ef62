// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A file that refers to other files: HLS, DASH or an FFmpeg concat list. It is checked before FFmpeg follows it, to ensure
/// that it stays within its own folder and is finite.
struct Playlist {
  private enum Kind { case hls, dash, concat }

  /// Limits: bytes of a playlist; names in it; playlists that it leads to.
  private static let mostBytes = 4 << 20
  private static let mostEntries = 10_000
  private static let mostPlaylists = 64
  private static let mostDepth = 2
  /// The most segments that a DASH manifest may imply without naming them.
  private static let mostPieces = 100_000.0

  private let path: String
  private var count = 0
  private var entries = 0

  /// Whether a file's content is a playlist.
  static func isOne(_ path: String) -> Bool { kind(of: head(path, 4096)) != nil }

  /// Whether the path itself names a playlist, so that the user wants it followed.
  static func isNamed(_ path: String) -> Bool {
    let name = path.lowercased()
    return [".m3u8", ".mpd", ".ffconcat"].contains { name.hasSuffix($0) }
  }

  /// Checks a playlist and everything that it refers to.
  /// - Throws: `VideoIOError.badPlaylist`.
  static func check(_ path: String) throws(VideoIOError) {
    var playlist = Playlist(path: path)
    try playlist.visit(path, depth: 0)
  }

  private init(path: String) { self.path = path }

  private static func kind(of bytes: [UInt8]) -> Kind? {
    let text = String(decoding: bytes, as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
    if text.hasPrefix("#EXTM3U") { return .hls }
    if text.hasPrefix("ffconcat version") { return .concat }
    if text.hasPrefix("<"), text.contains("<MPD") { return .dash }
    return nil
  }

  /// The first bytes at a path or URL; empty if it cannot be read.
  private static func head(_ path: String, _ count: Int) -> [UInt8] {
    if path == "-" || OutputFile.isStream(path) { return [] }
    var context: UnsafeMutablePointer<AVIOContext>?
    let (url, protocols) = InputFormats.address(path)
    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    av_dict_set(&options, "protocol_whitelist", protocols, 0)
    InputFormats.setNetworkOptions(&options, for: path)
    let (opened, _) = LibavLog.collecting {
      avio_open2(&context, FileName.cString(url), AVIO_FLAG_READ, nil, &options)
    }
    guard opened >= 0, context != nil else { return [] }
    defer { avio_closep(&context) }
    var result = [UInt8](repeating: 0, count: count)
    let (read, _) = LibavLog.collecting { avio_read(context, &result, Int32(count)) }
    return Array(result.prefix(max(0, Int(read))))
  }

  private mutating func visit(_ path: String, depth: Int) throws(VideoIOError) {
    count += 1
    let bytes = Self.head(path, Self.mostBytes + 1)
    guard let kind = Self.kind(of: bytes) else { return }
    guard bytes.count <= Self.mostBytes, count <= Self.mostPlaylists else { throw bad("it is too long") }
    guard depth <= Self.mostDepth else { throw bad("playlists lie too deep within each other") }
    let text = String(decoding: bytes, as: UTF8.self)
    switch kind {
    case .hls: try visitHLS(text, path, depth)
    case .concat: try visitConcat(text, path)
    case .dash: try visitDASH(text)
    }
  }

  private func bad(_ reason: String) -> VideoIOError { .badPlaylist(path: path, reason: reason) }

  private mutating func visitHLS(_ text: String, _ path: String, _ depth: Int) throws(VideoIOError) {
    var (isMaster, namesNext) = (false, false)
    for line in text.split(whereSeparator: \.isNewline) {
      let line = line.trimmingPrefix { $0.isWhitespace }
      if line.hasPrefix("#") {
        namesNext = line.hasPrefix("#EXT-X-STREAM-INF")
        let isList =
          namesNext || line.hasPrefix("#EXT-X-MEDIA:") || line.hasPrefix("#EXT-X-I-FRAME-STREAM-INF")
        isMaster = isMaster || isList
        for part in line.ranges(of: "URI=\"") {
          let name = String(line[part.upperBound...].prefix { $0 != "\"" })
          try take(name, from: path, isPlaylist: isList, depth: depth)
        }
      } else {
        try take(String(line), from: path, isPlaylist: namesNext, depth: depth)
        namesNext = false
      }
    }
    guard isMaster || text.contains("#EXT-X-ENDLIST") else {
      throw bad("it has no end (#EXT-X-ENDLIST): it describes a live broadcast")
    }
  }

  private mutating func visitConcat(_ text: String, _ path: String) throws(VideoIOError) {
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(maxSplits: 1, whereSeparator: \.isWhitespace)
      guard words.count == 2, words[0] == "file" else { continue }
      try take(words[1].filter { $0 != "'" && $0 != "\\" }, from: path, isPlaylist: false, depth: 0)
    }
  }

  private mutating func visitDASH(_ text: String) throws(VideoIOError) {
    if text.contains("type=\"dynamic\"") || text.contains("type='dynamic'") {
      throw bad("it has no end: it describes a live broadcast")
    }
    if text.contains("<!") && (text.contains("<!DOCTYPE") || text.contains("<!ENTITY")) {
      throw bad("it defines entities")
    }
    for part in text.ranges(of: "<BaseURL") {
      let inner = text[part.upperBound...].drop { $0 != ">" }.dropFirst().prefix { $0 != "<" }
      try checkName(String(inner))
    }
    var (longest, shortest, finest) = (0.0, Double.infinity, 1.0)
    for (name, value) in Self.attributes(of: text) {
      switch name {
      case "media", "initialization", "sourceURL", "index", "href", "xlink:href": try checkName(value)
      case "r":
        if let times = Double(value), times > Self.mostPieces { throw bad("a piece of it repeats too often") }
      case "duration": shortest = min(shortest, Double(value) ?? .infinity)
      case "timescale": finest = max(finest, Double(value) ?? 1)
      case "mediaPresentationDuration": longest = max(longest, Self.seconds(value))
      default: break
      }
    }
    if shortest.isFinite, longest * finest > Self.mostPieces * max(shortest, 1e-9) {
      throw bad("it has too many pieces")
    }
  }

  /// The attributes of all XML elements.
  private static func attributes(of text: String) -> [(name: String, value: String)] {
    text.ranges(of: "=").compactMap { place in
      let rest = text[place.upperBound...]
      guard let quote = rest.first, quote == "\"" || quote == "'" else { return nil }
      let value = rest.dropFirst().prefix { $0 != quote }
      let name = text[..<place.lowerBound].reversed().prefix { $0.isLetter || $0 == ":" }.reversed()
      return (String(name), String(value))
    }
  }

  /// The seconds of an XML duration such as PT1H2M3.5S; an absurdly large number if it is invalid.
  private static func seconds(_ text: String) -> Double {
    guard text.hasPrefix("PT") else { return 1e12 }
    var (total, number) = (0.0, "")
    for character in text.dropFirst(2) {
      switch character {
      case "H": total += (Double(number) ?? 1e12) * 3600
      case "M": total += (Double(number) ?? 1e12) * 60
      case "S": total += Double(number) ?? 1e12
      default:
        number.append(character)
        continue
      }
      number = ""
    }
    return total
  }

  private mutating func take(
    _ name: String, from list: String, isPlaylist: Bool, depth: Int
  ) throws(VideoIOError) {
    try checkName(name)
    let folder = OutputFile.directory(of: list)
    let path = folder == "." && !list.hasPrefix("./") ? name : folder + "/" + name
    if isPlaylist {
      try visit(path, depth: depth + 1)
    } else if !InputFormats.isURL(path), Self.kind(of: Self.head(path, 64)) != nil {
      throw bad("\(name) in it is a playlist, too, where a piece of video belongs")
    }
  }

  /// Checks that a name refers to a file in the playlist's folder or below it.
  private mutating func checkName(_ name: String) throws(VideoIOError) {
    entries += 1
    if entries > Self.mostEntries { throw bad("it names more than \(Self.mostEntries) files") }
    let path = name.prefix { $0 != "?" && $0 != "#" }
    let scheme = path.prefix { $0.isLetter || $0.isNumber || "+.-".contains($0) }
    let hasScheme = path.dropFirst(scheme.count).first == ":"
    if hasScheme || path.hasPrefix("/") || path.contains("\\") || path.split(separator: "/").contains("..") {
      throw bad("\(name) in it lies outside its folder")
    }
  }
}
