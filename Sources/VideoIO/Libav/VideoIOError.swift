// SPDX-License-Identifier: Apache-2.0

/// An error in reading or writing a file. Cases carry the facts; `description` formats them.
package enum VideoIOError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file cannot be opened, or is not a media file.
  case cannotOpen(path: String, reason: LibavError)
  /// The file has no content.
  case emptyFile(path: String)
  /// The part to read begins behind the end of the file.
  case partBehindEnd(path: String, seconds: Double)
  /// No frame begins within the part to read.
  case emptyPart(path: String)
  /// The file is a playlist, and playlists are not allowed.
  case isPlaylist(path: String)
  /// A playlist leads out of its folder, or is endless.
  case badPlaylist(path: String, reason: String)
  /// The video is encrypted.
  case encrypted(path: String)
  /// The picture can only be shown with its Dolby Vision metadata, which encoders do not accept.
  case needsDolbyVision(path: String)
  /// The file has no video stream (cover art does not count).
  case noVideoStream(path: String)
  /// The requested stream is not one of the file's video streams, whose indices are `videos`.
  case noSuchVideoStream(path: String, index: Int, videos: [Int])
  /// This build of FFmpeg cannot decode the codec.
  case noDecoder(path: String, codec: String)
  /// The video stream yields no frames.
  case noFrames(path: String, reason: LibavError?)
  /// The index is behind the video, and the input can only be read once, from start to end.
  case needsSeeking(path: String)
  /// Reading a packet failed, at a position in seconds.
  case cannotRead(path: String, seconds: Double, reason: LibavError)
  /// Decoding failed, at a position in seconds.
  case cannotDecode(path: String, seconds: Double, reason: LibavError)
  /// The file ends before its announced end: it is truncated.
  case endsEarly(path: String, seconds: Double, expectedSeconds: Double?)
  /// Size or layout of the picture changes within the file.
  case pictureChanges(path: String, seconds: Double, from: String, to: String)
  /// The pixel layout cannot be converted to a supported one.
  case unsupportedFormat(path: String, format: String)
  /// The output exists and must not be replaced.
  case outputExists(path: String)
  /// The output is the input.
  case outputIsInput(path: String)
  /// The unfinished file of the output would be the input.
  case unfinishedIsInput(path: String, unfinished: String)
  /// Another run is writing this output.
  case outputInUse(path: String)
  /// The output cannot be created.
  case cannotCreate(path: String, reason: LibavError)
  /// The output's name does not determine a container.
  case unknownContainer(path: String)
  /// The container is too old for the default encoder, and no other one was requested.
  case outdatedContainer(path: String)
  /// FFmpeg has no encoder of this name.
  case unknownEncoder(name: String)
  /// A preset was requested of an encoder that has none.
  case noPresets(encoder: String)
  /// The encoder does not have an option, or rejects its value.
  case encoderOption(encoder: String, option: String, value: String, reason: LibavError)
  /// The encoder does not support this pixel layout.
  case encoderFormat(encoder: String, format: String, supported: [String])
  /// The encoder cannot be started.
  case cannotStartEncoder(encoder: String, reason: LibavError)
  /// The container cannot hold the video.
  case containerRefusesVideo(path: String, container: String, codec: String, reason: LibavError)
  /// The encoder failed on a frame.
  case cannotEncode(path: String, reason: LibavError)
  /// Writing to the file failed, for example because the disk is full.
  case cannotWrite(path: String, reason: LibavError)
  /// A frame's size or layout differs from that of the writer.
  case frameMismatch(path: String, expected: String, found: String)
  /// A second frame was written to a picture file.
  case holdsOneFrame(path: String)
  /// A picture of this size and layout cannot be allocated.
  case invalidPicture(width: Int, height: Int, format: String)
  /// A picture cannot be scaled or converted.
  case cannotConvert(from: String, to: String, reason: LibavError)
  /// FFmpeg rejects the filters or their options, or a filter fails on a frame.
  case cannotFilter(String, reason: LibavError)
  /// A codec returned a different number of frames than it received.
  case roundTripLost(codec: String, frames: Int, returned: Int)
  /// There is unfinished work for this output, and continuing was not requested.
  case segmentsExist(path: String)
  /// Another process is working on this output.
  case segmentsInUse(path: String)
  /// The unfinished work was started with other choices or another source.
  case segmentsDiffer(path: String, [WorkIdentity.Difference])
  /// The saved work is damaged.
  case segmentsDamaged(path: String, reason: String)
  /// An output of this kind cannot be made in segments.
  case segmentsImpossible(path: String, reason: String)
  /// Reading the file back does not return what was written.
  case outputDamaged(path: String, detail: String)
  /// Out of memory.
  case outOfMemory

  /// Whether the underlying cause is a lack of memory.
  var isWantOfMemory: Bool {
    switch self {
    case .outOfMemory: true
    case .cannotRead(_, _, let reason), .cannotDecode(_, _, let reason):
      reason.code == LibavError.outOfMemory.code
    default: false
    }
  }

  /// Whether the error is caused by another run, so that a later attempt may succeed.
  package var isTemporary: Bool {
    switch self {
    case .outputInUse, .segmentsInUse: true
    default: false
    }
  }

  /// Whether the error is due to the state of the machine, such as a full disk, exhausted memory, or a file that is
  /// temporarily missing on a network: a later attempt, or one on another machine, may succeed.
  package var isWorthRetry: Bool {
    if isTemporary || isWantOfMemory { return true }
    switch self {
    case .cannotOpen(_, let reason), .cannotRead(_, _, let reason), .cannotCreate(_, let reason),
      .cannotWrite(_, let reason), .cannotStartEncoder(_, let reason), .cannotEncode(_, let reason):
      return reason.isWorthRetry
    default: return false
    }
  }

  /// One lower-case line without a period, with the file's name and FFmpeg's message.
  package var description: String {
    switch self {
    case .cannotOpen(let path, let reason): "cannot open \(path): \(reason)"
    case .emptyFile(let path): "cannot open \(path): it is empty"
    case .partBehindEnd(let path, let seconds):
      "\(path) ends at \(Self.text(seconds)), before the part to be read"
    case .emptyPart(let path): "no frame of \(path) begins within the part to be read"
    case .isPlaylist(let path): "\(path) is a playlist, which refers to other files"
    case .badPlaylist(let path, let reason): "playlist \(path) is not followed: \(reason)"
    case .encrypted(let path): "the video of \(path) is encrypted"
    case .needsDolbyVision(let path):
      "the picture of \(path) is Dolby Vision without a base layer: its colours would be wrong without the enhancement data"
    case .noVideoStream(let path): "no video stream in \(path)"
    case .noSuchVideoStream(let path, let index, _): "stream \(index) of \(path) is not video"
    case .noDecoder(let path, let codec): "no decoder for \(codec) in \(path)"
    case .noFrames(let path, let reason):
      "no frame could be decoded from \(path)" + (reason.map { ": \($0)" } ?? "")
    case .needsSeeking(let path): "the index of \(path) is at its end, where it is read too late"
    case .cannotRead(let path, let seconds, let reason):
      "cannot read \(path) after \(Self.text(seconds)): \(reason)"
    case .cannotDecode(let path, let seconds, let reason):
      "cannot decode \(path) at \(Self.text(seconds)): \(reason)"
    case .endsEarly(let path, let seconds, let expected):
      "\(path) ends early, at \(Self.text(seconds))"
        + (expected.map(Self.text).flatMap { $0 == Self.text(seconds) ? nil : " of \($0)" } ?? "")
    case .pictureChanges(let path, let seconds, let from, let to):
      "picture of \(path) changes at \(Self.text(seconds)) from \(from) to \(to)"
    case .unsupportedFormat(let path, let format): "pixel format \(format) of \(path) is not supported"
    default: outputDescription
    }
  }

  private var outputDescription: String {
    switch self {
    case .outputExists(let path): "output \(path) exists"
    case .outputIsInput(let path): "output \(path) is the input"
    case .unfinishedIsInput(let path, let unfinished):
      "\(unfinished), in which \(path) would be made, is the input"
    case .outputInUse(let path): "another run is writing \(path)"
    case .cannotCreate(let path, let reason): "cannot create \(path): \(reason)"
    case .unknownContainer(let path): "cannot determine the container from the name \(path)"
    case .outdatedContainer(let path): "few players support H.264 in a file such as \(path)"
    case .unknownEncoder(let name): "no encoder named \(name)"
    case .encoderOption(let encoder, let option, let value, let reason):
      "encoder \(encoder) rejects option \(option)=\(value): \(reason)"
    case .noPresets(let encoder): "encoder \(encoder) has no presets"
    case .encoderFormat(let encoder, let format, _): "encoder \(encoder) does not support \(format)"
    case .cannotStartEncoder(let encoder, let reason): "cannot start encoder \(encoder): \(reason)"
    case .containerRefusesVideo(let path, let container, let codec, let reason):
      "\(container) file \(path) cannot hold \(codec) video: \(reason)"
    case .cannotEncode(let path, let reason): "cannot encode \(path): \(reason)"
    case .cannotWrite(let path, let reason): "cannot write \(path): \(reason)"
    case .frameMismatch(let path, let expected, let found):
      "frame for \(path) is \(found) instead of \(expected)"
    case .holdsOneFrame(let path): "picture file \(path) can hold only one frame"
    case .invalidPicture(let width, let height, let format):
      "cannot make a picture of \(width)x\(height) \(format)"
    case .cannotConvert(let from, let to, let reason): "cannot convert \(from) to \(to): \(reason)"
    case .cannotFilter(let description, let reason): "cannot apply filter \(description): \(reason)"
    case .roundTripLost(let codec, let frames, let returned):
      "\(codec) gave back \(returned) frames for \(frames)"
    case .segmentsExist(let path): "there is unfinished work in \(path)"
    case .segmentsInUse(let path): "another run is working in \(path)"
    case .segmentsDiffer(let path, let differences)
    where differences.contains { $0.path.hasPrefix("source.") }:
      "the source has changed since the work in \(path) began"
    case .segmentsDiffer(let path, let differences):
      "the work in \(path) was started with other settings: "
        + differences.map(\.description).joined(separator: "; ")
    case .segmentsDamaged(let path, let reason): "cannot continue the work in \(path): \(reason)"
    case .segmentsImpossible(let path, let reason): "cannot work on \(path) in segments: \(reason)"
    case .outputDamaged(let path, let detail): "\(path) was not written correctly: \(detail)"
    default: "out of memory"
    }
  }

  /// Advice for the user in one lower-case line without a period; nil if there is none.
  package var hint: String? {
    switch self {
    case .cannotOpen(_, let reason) where reason.log.contains { $0.contains("moov atom not found") }:
      "the file was cut off before its index was written; a repair tool or a new copy may help"
    case .cannotOpen(_, let reason)
    where [LibavError.invalidData.code, LibavError.endOfFile.code].contains(reason.code):
      "not a media file, or damaged at its beginning"
    case .cannotOpen(let path, let reason)
    where path.contains("://") && reason.code == LibavError(errno: 2).code:
      "of URLs, those of http, https and file are read"
    case .needsSeeking: "save it as a file first, or put its index in front: ffmpeg -movflags faststart"
    case .noSuchVideoStream(_, _, let videos) where videos.isEmpty: "the file has no video"
    case .noSuchVideoStream(_, _, let videos) where videos.count == 1: "its only video is stream \(videos[0])"
    case .noSuchVideoStream(_, _, let videos):
      "its videos are the streams " + videos.map(String.init).joined(separator: ", ")
    case .emptyFile: "its download or copy may have failed; get a new copy of it"
    case .emptyPart: "begin earlier, or read a longer part"
    case .isPlaylist: "allow playlists if you trust the files it refers to"
    case .badPlaylist(_, let reason) where reason.contains("no end"): "record it first, or wait for its end"
    case .badPlaylist: "playlists may name files in their own folder and below it"
    case .encrypted: "decrypt it first, with its key"
    case .needsDolbyVision: "convert it to HDR10 first, or ignore its Dolby Vision metadata"
    case .noVideoStream: "cover art and subtitles do not count as video"
    case .endsEarly, .cannotRead: "the file is incomplete or damaged; get a new copy of it"
    case .outputExists: "choose another name, or allow overwriting"
    case .outputIsInput: "choose another name; a file cannot be replaced while it is read"
    case .unfinishedIsInput: "choose another name for the output, or rename the input"
    case .outputInUse: "wait for it to end, or choose another name"
    case .outdatedContainer(let path) where [".wmv", ".asf"].contains { path.lowercased().hasSuffix($0) }:
      "use a name that ends in .mp4 or .mkv, or choose an encoder for it, such as --codec wmv2"
    case .outdatedContainer:
      "use a name that ends in .mp4 or .mkv, or choose an encoder for it, such as --codec mpeg2video"
    case .unknownContainer: "use a name that ends in .mp4, .mkv, .mov, .webm or the like"
    case .cannotFilter: "ffmpeg -filters lists them, ffmpeg -h filter=NAME their options"
    case .unknownEncoder: "h264, hevc, av1 and vp9 choose one; ffmpeg -encoders lists all"
    case .noPresets(let encoder):
      "leave out the preset; ffmpeg -h encoder=\(encoder) lists the encoder's options"
    case .encoderOption(let encoder, _, _, _): "ffmpeg -h encoder=\(encoder) lists its options"
    case .cannotStartEncoder(_, let reason) where reason.log.contains { $0.contains("not divisible by 2") }:
      "its 4:2:0 and 4:2:2 video needs even sizes; use a 4:4:4 pixel format, or another encoder"
    case .encoderFormat(_, _, let supported): "it supports \(supported.joined(separator: ", "))"
    case .containerRefusesVideo: "choose another container, such as .mkv, or another encoder"
    case .holdsOneFrame: "numbered pictures are written under a name such as frames/%05d.png"
    case .pictureChanges: "split the file at that point"
    case .segmentsExist: "continue that work, or delete the folder"
    case .segmentsDiffer: "continue it with those settings, or delete the folder"
    case .segmentsDamaged: "delete the folder"
    default: nil
    }
  }

  static func text(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e12 else { return "an unknown time" }
    let hundredths = Int64((seconds * 100).rounded())
    let fraction = abs(hundredths % 100)
    return
      "\(hundredths < 0 && hundredths > -100 ? "-" : "")\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) s"
  }
}
