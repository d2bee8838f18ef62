// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import VideoIO

/// What can go wrong with a folder, and with a file because of its place in it.
enum BatchError: Error, Equatable, CustomStringConvertible {
  case notAFolder(path: String)
  case cannotReadFolder(path: String, reason: String)
  case cannotMakeFolder(path: String, reason: String)
  case sameFolder(path: String)
  case cannotWriteJournal(path: String, reason: String)
  case unclearShare(String)
  case outputTaken(path: String, by: String)
  case outputIsInput(path: String)
  case emptyFile(path: String)
  case picture(path: String)

  /// One lower-case line; what can be done stands in it.
  var description: String {
    switch self {
    case .notAFolder(let path): "\(path) is no folder (hint: videnhance in.mp4 out.mp4 enhances one file)"
    case .cannotReadFolder(let path, let reason): "cannot read folder \(path): \(reason)"
    case .cannotMakeFolder(let path, let reason): "cannot make folder \(path): \(reason)"
    case .sameFolder(let path):
      "output folder \(path) is the input folder (hint: choose another one; it may lie within the input)"
    case .cannotWriteJournal(let path, let reason): "cannot write journal \(path): \(reason)"
    case .unclearShare(let detail): "\(detail) (hint: set it, or pass --shard; 1/1 takes all files)"
    case .outputTaken(let path, let other):
      "output \(path) is also that of \(other) (hint: rename one, or put what tells them apart into --pattern)"
    case .outputIsInput(let path):
      "output \(path) is itself an input (hint: choose another output folder or --pattern)"
    case .emptyFile(let path): "\(path) is empty (hint: get a new copy of it)"
    case .picture(let path): "\(path) holds a picture, no video"
    }
  }
}

// MARK: - Names

/// `--pattern`: how outputs are named.
struct NamePattern: ExpressibleByArgument, Sendable, Equatable {
  /// The pattern as given.
  let text: String
  /// What stands behind a name unless told otherwise.
  static let usual = NamePattern("{name}.{ext}")
  private static let placeholders = ["{name}", "{ext}", "{task}", "{bits}"]

  private init(_ text: String) { self.text = text }

  /// A pattern that names a file of its own for every name: a slash would leave the folder, and without `{name}` all
  /// files would be one.
  init?(argument: String) {
    var rest = argument
    for placeholder in Self.placeholders { rest = rest.replacingOccurrences(of: placeholder, with: "") }
    guard argument.contains("{name}"), !rest.contains(where: { "/{}\0".contains($0) }) else { return nil }
    text = argument
  }

  /// Ogg holds Theora alone, which is made badly unless someone chooses its options.
  private static let ogg: Set = ["ogv", "ogg", "ogm", "ogx"]

  /// Whether the bits must be known.
  var needsBits: Bool { text.contains("{bits}") }

  /// The name of the output for a file of this name.
  /// - Parameters:
  ///   - keepsEnding: whether the container is known without the ending.
  ///   - encoderIsGiven: whether the encoder is not left to the container.
  func output(
    for file: String, task: String, bits: String, keepsEnding: Bool, encoderIsGiven: Bool = false
  ) -> String {
    let (name, ending) = Self.split(file)
    func filled(_ ending: String) -> String {
      // One pass, as names may hold braces themselves.
      var result = ""
      var rest = text[...]
      while let character = rest.first {
        let values = [name, ending, task, bits]
        if let index = Self.placeholders.firstIndex(where: { rest.hasPrefix($0) }) {
          result += values[index]
          rest = rest.dropFirst(Self.placeholders[index].count)
        } else {
          result.append(character)
          rest = rest.dropFirst()
        }
      }
      return result
    }
    func isKnown(_ output: String) -> Bool {
      let ending = Self.split(output).ending
      return LibavBuild.holdsVideo(ending: ending)
        && (encoderIsGiven || !Self.ogg.contains(ending.lowercased()))
    }
    let plain = filled(ending)
    if isKnown(plain) || keepsEnding && !ending.isEmpty { return plain }
    let fallback = text.contains("{ext}") ? filled("mkv") : plain
    return isKnown(fallback) || keepsEnding ? fallback : fallback + ".mkv"
  }

  /// The parts of a file's name before and behind its last dot.
  static func split(_ file: String) -> (name: String, ending: String) {
    guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return (file, "") }
    return (String(file[..<dot]), String(file[file.index(after: dot)...]))
  }
}

/// What names say about files before they are opened.
enum FileEnding {
  /// Surely no video: not opened, not told of. Playlists are here as their parts lie beside them.
  static let passedOver: Set<String> = [
    "txt", "md", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "ini", "cfg", "conf", "csv", "tsv", "xml",
    "html",
    "htm", "css", "js", "py", "sh", "bat", "c", "h", "swift", "ipynb", "log", "nfo", "lock", "pdf", "doc",
    "docx",
    "xls", "xlsx", "ppt", "pptx", "rtf", "tex", "srt", "ass", "ssa", "vtt", "sub", "idx", "sup", "lrc", "zip",
    "gz",
    "bz2", "xz", "zst", "7z", "rar", "tar", "tgz", "md5", "sha1", "sha256", "sfv", "par2", "torrent", "part",
    "tmp",
    "bak", "crdownload", "m3u", "m3u8", "mpd", "pls", "cue", "ffconcat", "sdp", "xmp", "lrv", "thm", "edl",
    "fcpxml",
    "drp", "npy", "npz", "pt", "pth", "onnx", "safetensors", "bin", "exe", "dll", "so", "ttf", "otf", "db",
    "jpg", "jpeg",
    "png", "bmp", "tif", "tiff", "webp", "heic", "heif", "avif", "jxl", "svg", "psd", "xcf", "ico", "tga",
    "exr",
    "dpx", "raw", "cr2", "cr3", "nef", "arw", "dng", "ppm", "pgm", "pbm",
  ]

  /// Surely media: when such a file cannot be opened, it is broken.
  static let media: Set<String> = [
    "mp4", "m4v", "mov", "qt", "mkv", "mk3d", "webm", "avi", "divx", "ts", "m2ts", "mts", "m2t", "mpg",
    "mpeg", "m2v",
    "m1v", "mpv", "vob", "flv", "f4v", "wmv", "asf", "3gp", "3g2", "ogv", "ogg", "ogm", "mxf", "y4m", "nut",
    "h264",
    "264", "avc", "hevc", "h265", "265", "ivf", "obu", "av1", "dv", "rm", "rmvb", "gif", "wtv", "dav", "insv",
    "mp3",
    "m4a", "m4b", "aac", "flac", "wav", "wave", "opus", "oga", "wma", "mka", "ac3", "eac3", "dts", "thd",
    "aif", "aiff",
    "caf", "amr", "mp2", "ape", "wv",
  ]
}

// MARK: - Shares

/// `--shard`: a share of the files, the same on every machine.
struct Shard: ExpressibleByArgument, Sendable, Equatable {
  /// Which share, from 0, and of how many.
  var index, count: Int
  /// Where it was told; nil for the option.
  var source: String?

  init(index: Int, count: Int, source: String? = nil) {
    self.index = index
    self.count = count
    self.source = source
  }

  init?(argument: String) {
    if argument.hasPrefix("env/"), let count = Int(argument.dropFirst(4)), (1...1_000_000).contains(count) {
      (index, self.count) = (Self.open, count)
      return
    }
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let number = parts[0], let count = parts[1], count <= 1_000_000, number >= 1,
      number <= count
    else { return nil }
    (index, self.count) = (number - 1, count)
  }

  /// The share that an array job has given to this process; nil outside of one.
  /// - Throws: `BatchError.unclearShare` where it is one, but does not tell how many there are: without a share, all
  ///   of them would do the same files.
  init?(environment: [String: String]) throws(BatchError) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    let index: Int
    let (told, total): (String, String)
    if environment["SLURM_ARRAY_TASK_ID"] != nil {
      (told, total) = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
      let step = max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
      guard let id = number(told) else { throw .unclearShare("\(told) is no number") }
      let (distance, overflow) = id.subtractingReportingOverflow(number("SLURM_ARRAY_TASK_MIN") ?? 0)
      guard !overflow, distance % step == 0 else { throw .unclearShare("\(told) does not fit the array") }
      index = distance / step
    } else if environment["JOB_COMPLETION_INDEX"] != nil {
      (told, total) = ("JOB_COMPLETION_INDEX", "JOB_COMPLETION_COUNT")
      guard let id = number(told) else { throw .unclearShare("\(told) is no number") }
      index = id
    } else {
      return nil
    }
    guard let count = number(total), count >= 1 else {
      throw .unclearShare("\(told) is set, but \(total) is not, or no number")
    }
    // A list such as 1,5,9 has numbers that do not follow each other.
    guard (0..<count).contains(index) else {
      throw .unclearShare("\(told) is not among \(count) that follow each other")
    }
    self.init(index: index, count: count, source: told)
  }

  /// Whether a file belongs to it. Only the path below the folder counts, so machines may mount it at different places.
  func holds(_ relativePath: String) -> Bool {
    Self.hash(relativePath) % UInt64(count) == UInt64(index)
  }

  /// FNV-1a of 64 bits; Swift's own hash differs from run to run.
  static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

// MARK: - Files

/// What a path leads to, whatever its name.
struct FileIdentity: Hashable, Sendable {
  /// What kind of thing it is.
  enum Kind { case file, folder, other }

  let device, number: UInt64
  let kind: Kind
  /// Length in bytes.
  let size: Int

  /// Links are followed. Nil if there is nothing.
  init?(path: String) {
    var status = stat()
    guard stat(FileName.cString(path), &status) == 0 else { return nil }
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
    size = Int(status.st_size)
    switch status.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    default: kind = .other
    }
  }

  static func == (a: FileIdentity, b: FileIdentity) -> Bool { a.device == b.device && a.number == b.number }
  func hash(into hasher: inout Hasher) {
    hasher.combine(device)
    hasher.combine(number)
  }
}

/// The files below a folder that may be videos.
struct FolderScan {
  /// Paths below the folder, sorted.
  private(set) var files: [String] = []
  /// Folders below it that cannot be read, and why.
  private(set) var unreadable: [(path: String, reason: String)] = []
  /// How many files were passed over for their names.
  private(set) var passedOverCount = 0

  private let root: String
  private let excluded: [FileIdentity]

  /// Goes through a folder.
  /// - Parameter excluded: folders and files that are no part of it, such as the output within the input.
  /// - Throws: `BatchError` if the folder itself cannot be read.
  init(folder: String, excluding excluded: [String]) throws(BatchError) {
    root = folder
    self.excluded = excluded.compactMap { FileIdentity(path: $0) }
    visit("", ancestors: FileIdentity(path: folder).map { [$0] } ?? [])
    if let failed = unreadable.first(where: { $0.path.isEmpty }) {
      throw .cannotReadFolder(path: folder, reason: failed.reason)
    }
  }

  private mutating func visit(_ folder: String, ancestors: [FileIdentity]) {
    guard let names = Self.names(in: FolderScan.join(root, folder)) else {
      unreadable.append((folder, String(cString: strerror(errno))))
      return
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.isEmpty ? name : folder + "/" + name
      let identity = FileIdentity(path: FolderScan.join(root, path))
      if let identity, excluded.contains(identity) { continue }
      switch identity?.kind {
      case .folder:
        // A link to a folder around it has no end.
        if let identity, !ancestors.contains(identity) { visit(path, ancestors: ancestors + [identity]) }
      case .other:
        // Opening a pipe may wait for ever.
        passedOverCount += 1
      case .file, nil:
        // A link that leads nowhere fails when it is opened, with its name.
        if FileEnding.passedOver.contains(NamePattern.split(name).ending.lowercased()) {
          passedOverCount += 1
        } else {
          files.append(path)
        }
      }
    }
  }

  /// The names in a folder, sorted; nil if it cannot be read, and `errno` says why.
  private static func names(in folder: String) -> [String]? {
    guard let stream = opendir(FileName.cString(folder)) else { return nil }
    defer { closedir(stream) }
    var result: [String] = []
    while let entry = readdir(stream) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      let name = FileName.text(bytes)
      if name != "." && name != ".." { result.append(name) }
    }
    return result.sorted()
  }

  /// A path below a folder.
  static func join(_ folder: String, _ path: String) -> String {
    if path.isEmpty { return folder }
    return folder.hasSuffix("/") ? folder + path : folder + "/" + path
  }

  /// Whether a path leads to a folder.
  static func isFolder(_ path: String) -> Bool { FileIdentity(path: path)?.kind == .folder }
}
