// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import VideoIO

/// Twelve pictures and half a second of sound.
private let video = "-f lavfi -i testsrc2=s=96x64:r=25:d=0.48"
private let sound = "-f lavfi -i sine=d=0.5:r=48000"
private let both = "\(video) \(sound)"
private let x265 = "libx265 -preset ultrafast -x265-params log-level=error"
private let vp9 = "libvpx-vp9 -deadline realtime -cpu-used 8"

extension MatrixCase {
  /// The whole matrix.
  static let all = containers + codecs + layouts + times + streams + tags

  /// Containers with their usual contents.
  static let containers: [MatrixCase] = [
    MatrixCase("mp4 to mp4", "in.mp4", "out.mp4", "\(both) -c:v libx264 -bf 3 -c:a aac").short,
    MatrixCase("mp4 to mkv", "in.mp4", "out.mkv", "\(both) -c:v libx264 -bf 3 -c:a aac"),
    MatrixCase("mp4 to mov", "in.mp4", "out.mov", "\(both) -c:v libx264 -bf 3 -c:a aac"),
    MatrixCase("mp4 to ts", "in.mp4", "out.ts", "\(both) -c:v libx264 -bf 3 -c:a aac")
      .differing("stream 1 (aac): bytes differ", because: "transport streams want AAC with ADTS headers"),
    MatrixCase("mov to mov", "in.mov", "out.mov", "\(both) -c:v prores_ks -c:a pcm_s24le"),
    MatrixCase("mov to mkv", "in.mov", "out.mkv", "\(both) -c:v prores_ks -c:a pcm_s16be")
      .differing(
        "stream 1 (pcm_s16be): channel_layout mono -> none",
        because: "Matroska stores the number of channels only"),
    MatrixCase("mkv to mkv", "in.mkv", "out.mkv", "\(both) -c:v libx264 -c:a flac").short,
    MatrixCase("mkv to mp4", "in.mkv", "out.mp4", "\(both) -c:v libx264 -c:a ac3"),
    MatrixCase("webm to webm", "in.webm", "out.webm", "\(both) -c:v \(vp9) -c:a libopus"),
    MatrixCase("webm to mkv", "in.webm", "out.mkv", "\(both) -c:v libvpx -c:a libvorbis"),
    MatrixCase("webm to mp4", "in.webm", "out.mp4", "\(both) -c:v \(vp9) -c:a libopus"),
    MatrixCase("avi to mkv", "in.avi", "out.mkv", "\(both) -c:v mpeg4 -bf 2 -c:a mp3"),
    MatrixCase("avi to mp4", "in.avi", "out.mp4", "\(both) -c:v mpeg4 -c:a ac3"),
    MatrixCase("ts to ts", "in.ts", "out.ts", "\(both) -c:v libx264 -bf 2 -c:a mp2").short,
    MatrixCase("ts to mkv", "in.ts", "out.mkv", "\(both) -c:v mpeg2video -bf 2 -c:a ac3"),
    MatrixCase("ts with AAC to mp4", "in.ts", "out.mp4", "\(both) -c:v libx264 -bf 2 -c:a aac")
      .differing("stream 1 (aac): bytes differ", because: "mp4 wants AAC without its ADTS headers"),
    MatrixCase("m2ts to mkv", "in.m2ts", "out.mkv", "\(both) -c:v libx264 -bf 2 -c:a ac3"),
    MatrixCase("mpg to mkv", "in.mpg", "out.mkv", "\(both) -c:v mpeg2video -bf 2 -c:a mp2"),
    MatrixCase("mpg to mp4", "in.mpg", "out.mp4", "\(both) -c:v mpeg1video -c:a mp2")
      .differing(
        "stream 1 (mp2): codec_name mp2 -> mp3",
        because: "FFmpeg takes all MPEG sound in mp4 for its third layer"),
    MatrixCase("ogv to mkv", "in.ogv", "out.mkv", "\(both) -c:v libtheora -q:v 8 -c:a libvorbis"),
    MatrixCase(
      "flv to mp4", "in.flv", "out.mp4", "\(video) -f lavfi -i sine=d=0.5:r=44100 -c:v flv1 -c:a mp3"),
    MatrixCase("wmv to mkv", "in.wmv", "out.mkv", "\(both) -c:v wmv2 -c:a wmav2"),
    MatrixCase(
      "3gp to mp4", "in.3gp", "out.mp4",
      "\(sound) -f lavfi -i testsrc2=s=128x96:r=25:d=0.48 -c:v h263 -c:a aac"),
    MatrixCase("nut to mkv", "in.nut", "out.mkv", "\(both) -c:v rawvideo -pix_fmt yuv420p -c:a pcm_s16le"),
    MatrixCase("nut to nut", "in.nut", "out.nut", "\(both) -c:v ffv1 -pix_fmt yuv420p -c:a pcm_s16le"),
    MatrixCase("y4m to mp4", "in.y4m", "out.mp4", "\(video) -pix_fmt yuv422p"),
    MatrixCase("mxf to mov", "in.mxf", "out.mov", "\(both) -c:v mpeg2video -c:a pcm_s16le")
      .differing(
        "file: tag timecode=00:00:00:00 -> none", because: "QuickTime stores it in a track of its own"
      )
      .differing(
        "file: tag application_platform", "file: tag company_name", "file: tag product_",
        "file: tag toolkit_",
        because: "it names the program that wrote the source"
      )
      .differing(
        "file: tag uid", "file: tag generation_uid", "file: tag operational_pattern_ul",
        "file: tag material_package_umid", "video: tag file_package_umid",
        "stream 1 (pcm_s16le): tag file_package_umid",
        because: "they number the source and its parts, which this file is not"),
  ]

  /// Codecs of the source and encoders of the output.
  static let codecs: [MatrixCase] = [
    MatrixCase("HEVC of 10 bits", "in.mp4", "out.mp4", "\(video) -c:v \(x265) -pix_fmt yuv420p10le").short,
    MatrixCase("HEVC of 12 bits", "in.mkv", "out.mkv", "\(video) -c:v \(x265) -pix_fmt yuv422p12le"),
    MatrixCase(
      "AV1", "in.mkv", "out.mkv",
      "\(video) -c:v libsvtav1 -preset 12 -svtav1-params lp=1 -pix_fmt yuv420p10le"),
    MatrixCase(
      "motion JPEG of full range", "in.avi", "out.mov", "\(both) -c:v mjpeg -pix_fmt yuvj422p -c:a pcm_s16le"
    )
    .differing(
      "frame: chroma_location center -> none", because: "H.264 stores the place of chroma for 4:2:0 only"),
    MatrixCase(
      "DNxHD", "in.mov", "out.mov",
      "\(video) -vf scale=1280:720 -frames:v 2 -c:v dnxhd -b:v 90M -pix_fmt yuv422p"),
    MatrixCase("JPEG 2000", "in.mkv", "out.mkv", "\(video) -c:v jpeg2000 -pix_fmt yuv444p"),
    MatrixCase("HuffYUV", "in.avi", "out.mkv", "\(video) -c:v huffyuv -pix_fmt yuv422p"),
    MatrixCase(
      "lossless H.264 4:4:4", "in.mp4", "out.mp4", "\(video) -c:v libx264 -qp 0 -pix_fmt yuv444p10le"),
    lossy("to x265", "libx265", "out.mp4", ["x265-params": "log-level=error"], preset: "ultrafast"),
    lossy("to SVT-AV1", "libsvtav1", "out.mkv", [:], preset: "12"),
    lossy("to VP9", "libvpx-vp9", "out.webm", ["deadline": "realtime", "cpu-used": "8"]),
    lossy("to ProRes", "prores_ks", "out.mov", [:]).with { $0.warnings = ["is converted to aac"] }
      .differing("stream 1 (opus): ", because: "QuickTime does not hold Opus, so it becomes AAC")
      .differing("frame: pix_fmt yuv420p -> yuv422p10le", because: "ProRes is 4:2:2 of 10 bits at least")
      .differing(
        "frame: color_space none -> smpte170m", because: "converting takes a matrix, so it is written"),
    lossy("to MPEG-2", "mpeg2video", "out.ts", [:]),
  ]

  private static func lossy(
    _ name: String, _ codec: String, _ output: String, _ options: [String: String], preset: String? = nil
  ) -> MatrixCase {
    MatrixCase(name, "in.mkv", output, "\(both) -c:v libx264 -pix_fmt yuv420p -c:a libopus").with {
      $0.encoder = EncoderSettings(codec: codec, preset: preset, options: options)
      $0.isLossless = false
    }
  }

  private static func tagged(
    _ matrix: String, _ primaries: String, _ transfer: String, _ range: String = "tv"
  ) -> String {
    "-colorspace \(matrix) -color_primaries \(primaries) -color_trc \(transfer) -color_range \(range)"
  }

  /// Pixel formats, bit depths and colours.
  static let layouts: [MatrixCase] = [
    MatrixCase("gray", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt gray"),
    MatrixCase("gray of 10 bits", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt gray10le"),
    MatrixCase("4:4:0", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt yuv440p"),
    MatrixCase("4:4:4 of 12 bits", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt yuv444p12le"),
    MatrixCase("4:2:0 of 16 bits", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt yuv420p16le"),
    MatrixCase("RGB", "in.mov", "out.mkv", "\(video) -c:v qtrle -pix_fmt rgb24").with {
      $0.isLossless = false
    }
    .differing(
      "frame: pix_fmt rgb24 -> yuv444p", "frame: color_space",
      because: "networks work on YUV; RGB becomes 4:4:4"),
    MatrixCase("planar RGB of 10 bits", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -pix_fmt gbrp10le")
      .with { $0.isLossless = false }
      .differing(
        "frame: pix_fmt gbrp10le -> yuv444p10le", "frame: color_range", "frame: color_space",
        because: "networks work on YUV; RGB becomes 4:4:4 of limited range"),
    MatrixCase("palette", "in.gif", "out.mkv", video).with { $0.isLossless = false }
      .differing(
        "frame: pix_fmt bgra -> yuv444p", "frame: color_space",
        because: "networks work on YUV; RGB becomes 4:4:4"),
    MatrixCase(
      "full range BT.709", "in.mp4", "out.mp4",
      "\(video) -c:v libx264 -pix_fmt yuv420p \(tagged("bt709", "bt709", "bt709", "pc"))"
    ).short,
    MatrixCase(
      "BT.601", "in.mov", "out.mp4", "\(video) -c:v libx264 \(tagged("smpte170m", "smpte170m", "smpte170m"))"),
    MatrixCase(
      "HLG", "in.mkv", "out.mkv",
      "\(video) -c:v libx264 -pix_fmt yuv420p10le \(tagged("bt2020nc", "bt2020", "arib-std-b67"))"),
    MatrixCase(
      "HDR10", "in.mp4", "out.mp4",
      "\(video) -c:v \(x265):hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
        + " -pix_fmt yuv420p10le \(tagged("bt2020nc", "bt2020", "smpte2084"))"
    ).short.with {
      $0.encoder = EncoderSettings(codec: "libx265", preset: "ultrafast")
      $0.isLossless = false
    },
    MatrixCase(
      "chroma at the top left", "in.mp4", "out.mp4", "\(video) -c:v libx264 -chroma_sample_location topleft"),
    MatrixCase(
      "odd size", "in.mkv", "out.mkv", "\(video) -vf format=yuv420p,crop=95:63:exact=1 -c:v ffv1"),
    MatrixCase("doubled", "in.mp4", "out.mp4", "\(both) -vf setsar=4/3 -c:v libx264 -c:a aac")
      .with { $0.work = .doubling }.short,
    MatrixCase(
      "captions in H.264", "in.ts", "out.mkv",
      [
        ("\(video) -c:v mpeg2video -bf 0", "a.m2v"),
        ("-f mpegvideo -i DIR/a.m2v -c copy -bsf:v setts=ts=N/25/TB", "in.ts"),
      ]
    ).short.with {
      $0.hasCaptions = true
      $0.encoder = EncoderSettings(codec: "libx264", preset: "ultrafast", options: ["qp": "0"])
    },
    MatrixCase(
      "captions in FFV1", "in.ts", "out.mkv",
      [
        ("\(video) -c:v mpeg2video -bf 0", "a.m2v"),
        ("-f mpegvideo -i DIR/a.m2v -c copy -bsf:v setts=ts=N/25/TB", "in.ts"),
      ]
    ).with {
      $0.hasCaptions = true
      $0.leftOut = ["closed captions"]
    }.differing("frame: ATSC A53 Part 4 Closed Captions is missing", because: "FFV1 has no place for them"),
  ]

  /// Clocks of all kinds.
  static let times: [MatrixCase] = [
    MatrixCase(
      "23.976 fps", "in.mp4", "out.mkv",
      "-f lavfi -i testsrc2=s=96x64:r=24000/1001:d=0.48 \(sound) -c:v libx264 -c:a aac"),
    MatrixCase(
      "59.94 fps", "in.mov", "out.mp4", "-f lavfi -i testsrc2=s=96x64:r=60000/1001:d=0.3 -c:v libx264"),
    MatrixCase(
      "a frame in five seconds", "in.mkv", "out.mp4", "-f lavfi -i testsrc2=s=96x64:r=1/5:d=20 -c:v libx264"),
    MatrixCase(
      "variable rate in mp4", "in.mp4", "out.mp4",
      "\(both) -vf select=not(eq(mod(n\\,5)\\,3)) -fps_mode vfr -video_track_timescale 90000 -c:v libx264 -bf 2 -c:a aac"
    ).short,
    MatrixCase(
      "variable rate in mkv", "in.mkv", "out.mkv",
      "\(both) -vf setpts=N*N*0.002/TB -fps_mode vfr -enc_time_base 1/1000 -c:v libx264 -c:a libopus"),
    MatrixCase(
      "variable rate from mkv to mov", "in.mkv", "out.mov",
      "\(video) -vf setpts=N*N*0.002/TB -fps_mode vfr -enc_time_base 1/1000 -c:v libx264"),
    MatrixCase(
      "picture starts late", "in.mp4", "out.mp4",
      [
        ("\(video) -c:v libx264 -bf 2", "v.mp4"), ("\(sound) -c:a aac", "a.mp4"),
        ("-itsoffset 0.3 -i DIR/v.mp4 -i DIR/a.mp4 -map 0 -map 1 -c copy -copyts", "in.mp4"),
      ]
    ).short,
    MatrixCase(
      "sound starts late", "in.mkv", "out.mkv",
      [
        ("\(video) -c:v libx264 -bf 2", "v.mkv"), ("\(sound) -c:a flac", "a.mkv"),
        ("-i DIR/v.mkv -itsoffset 0.25 -i DIR/a.mkv -map 0 -map 1 -c copy -copyts", "in.mkv"),
      ]),
    MatrixCase(
      "both start late, to mov", "in.mov", "out.mov",
      [
        ("\(video) -c:v libx264 -bf 2", "v.mov"), ("\(sound) -c:a pcm_s16le", "a.mov"),
        ("-itsoffset 0.5 -i DIR/v.mov -itsoffset 0.25 -i DIR/a.mov -map 0 -map 1 -c copy -copyts", "in.mov"),
      ]),
    MatrixCase(
      "edit list that cuts", "in.mp4", "out.mp4",
      [
        (
          "-f lavfi -i testsrc2=s=96x64:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -g 50 -bf 2 -c:a aac",
          "long.mp4"
        ),
        ("-ss 0.5 -i DIR/long.mp4 -t 0.6 -c copy", "in.mp4"),
      ]
    ).short,
    MatrixCase(
      "no timestamps", "in.h264", "out.mp4", "\(video) -c:v libx264 -bf 2"
    ).with { $0.warnings = ["without timestamp"] },
    MatrixCase(
      "timestamps twice", "in.mkv", "out.mkv", "\(video) -c:v ffv1 -bsf:v setts=ts=PTS-40*eq(N\\,5)"
    ).with { $0.warnings = ["does not increase"] }.short,
    MatrixCase(
      "timestamps that go back", "in.mov", "out.mkv",
      "\(video) -c:v mjpeg -pix_fmt yuvj420p -bsf:v setts=pts=PTS+5120-2560*eq(N\\,6):dts=DTS"
    ).with { $0.warnings = ["does not increase"] },
    MatrixCase(
      "clock that begins at a day", "in.mkv", "out.mkv", "\(both) -output_ts_offset 86400 -c:v ffv1 -c:a flac"
    ),
    MatrixCase(
      "clock of a program in mp4", "in.ts", "out.mp4", "\(both) -output_ts_offset 5000 -c:v libx264 -c:a mp2"
    )
    .differing(
      "stream 1 (mp2): codec_name mp2 -> mp3",
      because: "FFmpeg takes all MPEG sound in mp4 for its third layer"),
    MatrixCase("interpolated", "in.mp4", "out.mp4", "\(both) -c:v libx264 -bf 2 -c:a aac")
      .with { $0.work = .interpolation(2) }.short,
    MatrixCase(
      "interpolated from variable rate", "in.mkv", "out.mkv",
      "\(both) -vf settb=1/1000,setpts=N*(N+11)*3 -fps_mode vfr -enc_time_base 1/1000 -c:v libx264 -c:a libopus"
    ).with { $0.work = .interpolation(3) },
    MatrixCase(
      "frames closer than Matroska can store", "in.mov", "out.mkv",
      "\(video) -vf settb=1/12800,setpts=N*5 -fps_mode vfr -enc_time_base 1/12800 -video_track_timescale 12800 -c:v mjpeg -pix_fmt yuvj420p"
    )
    .with { $0.warnings = ["does not increase by a tick of the output"] }
    .differing(
      "video: time of frame 1 ",
      because: "Matroska counts in milliseconds, and two frames in one of them would be one"
    )
    .differing(
      "video: last frame lasts ", because: "Matroska stores it for no frame; readers guess it from the rate"),
  ]

  /// Streams other than the video.
  static let streams: [MatrixCase] = [
    MatrixCase(
      "MP3 and E-AC-3", "in.mkv", "out.mkv",
      "\(both) \(sound) -map 0 -map 1 -map 2 -c:v libx264 -c:a:0 mp3 -c:a:1 eac3"),
    MatrixCase("ALAC", "in.mov", "out.mp4", "\(both) -c:v libx264 -c:a alac"),
    MatrixCase(
      "DTS and TrueHD", "in.mkv", "out.mkv",
      "\(both) \(sound) -map 0 -map 1 -map 2 -c:v libx264 -strict -2 -c:a:0 dca -c:a:1 truehd"),
    MatrixCase("WavPack of 6 channels", "in.mkv", "out.mkv", "\(both) -c:v libx264 -ac 6 -c:a wavpack"),
    MatrixCase("Opus in mp4", "in.mp4", "out.mp4", "\(both) -c:v libx264 -c:a libopus"),
    MatrixCase("FLAC in mp4", "in.mkv", "out.mp4", "\(both) -c:v libx264 -c:a flac"),
    MatrixCase("Vorbis to mov", "in.mkv", "out.mov", "\(both) -c:v libx264 -c:a libvorbis")
      .with { $0.warnings = ["is converted to aac"] }
      .differing("stream 1 (vorbis): ", because: "QuickTime does not hold Vorbis, so it becomes AAC"),
    MatrixCase(
      "subtitles in mkv", "in.mkv", "out.mkv",
      "\(both) -i DIR/s.srt -i DIR/s.srt -i DIR/s.srt -map 0 -map 1 -map 2 -map 3 -map 4 -c:v libx264 -c:a aac -c:s:0 srt -c:s:1 ass -c:s:2 webvtt"
    ).short,
    MatrixCase(
      "subtitles in mp4", "in.mp4", "out.mp4",
      "\(both) -i DIR/s.srt -map 0 -map 1 -map 2 -c:v libx264 -c:a aac -c:s mov_text -metadata:s:s:0 language=fra"
    ),
    MatrixCase(
      "subtitles of mkv to mp4", "in.mkv", "out.mp4",
      "\(video) -i DIR/s.srt -map 0 -map 1 -c:v libx264 -c:s srt"
    )
    .with { $0.warnings = ["is converted to mov_text"] }
    .differing("stream 1 (subrip): ", because: "mp4 does not hold SubRip, so it becomes mov_text"),
    MatrixCase(
      "attachment and cover art in mkv", "in.mkv", "out.mkv",
      [
        ("-f lavfi -i testsrc=s=32x32 -frames:v 1", "cover.png"),
        (
          "\(both) -attach DIR/font.ttf -metadata:s:t:0 mimetype=application/x-truetype-font -attach DIR/cover.png -metadata:s:t:1 mimetype=image/png -metadata:s:t:1 filename=cover.png -c:v libx264 -c:a aac",
          "in.mkv"
        ),
      ]
    ).short,
    MatrixCase(
      "cover art in mp4", "in.mp4", "out.mp4",
      [
        ("-f lavfi -i testsrc=s=32x32 -frames:v 1", "cover.jpg"),
        (
          "\(both) -i DIR/cover.jpg -map 0 -map 1 -map 2 -c:v:0 libx264 -c:v:1 copy -c:a aac -disposition:v:1 attached_pic",
          "in.mp4"
        ),
      ]),
    MatrixCase(
      "two videos in mkv", "in.mkv", "out.mkv",
      "\(video) -f lavfi -i testsrc=s=64x48:r=10:d=0.5 -map 0 -map 1 -c:v libx264 -disposition:v:0 default -disposition:v:1 0"
    ),
    MatrixCase(
      "two videos with B-frames in mkv", "in.mkv", "out.mkv",
      "\(video) -f lavfi -i testsrc=s=64x48:r=10:d=0.5 -map 0 -map 1 -c:v libx264 -bf 3 -disposition:v:0 default -disposition:v:1 0"
    ).with { $0.encoder = EncoderSettings(preset: "medium", options: ["qp": "0"]) },
    MatrixCase("Opus to webm", "in.mp4", "out.webm", "\(both) -c:v libx264 -c:a libopus"),
    MatrixCase("Opus in webm, no video before it", "in.webm", "out.webm", "\(both) -c:v libvpx -c:a libopus")
      .short,
    MatrixCase("timecode in mov", "in.mov", "out.mov", "\(both) -c:v libx264 -c:a aac -timecode 01:02:03:04"),
    MatrixCase(
      "two programs in ts", "in.ts", "out.ts",
      "\(both) -f lavfi -i testsrc=s=64x48:r=25:d=0.48 \(sound) -map 0 -map 1 -map 2 -map 3 -c:v libx264 -c:a mp2"
        + " -program title=First:program_num=1:st=0:st=1 -program title=Second:program_num=2:st=2:st=3"),
  ]

  /// Tags, chapters, dispositions and shapes.
  static let tags: [MatrixCase] = [
    MatrixCase(
      "chapters and tags in mkv", "in.mkv", "out.mkv",
      "\(both) -i DIR/meta.txt -map 0 -map 1 -map_metadata 2 -map_chapters 2 -metadata mood=dark -metadata:s:v:0 title=Picture"
        + " -metadata:s:a:0 language=deu -metadata:s:a:0 title=Sound -c:v libx264 -c:a aac"
    ).short,
    MatrixCase(
      "chapters and tags in mp4", "in.mp4", "out.mp4",
      "\(both) -i DIR/meta.txt -map 0 -map 1 -map_metadata 2 -map_chapters 2 -metadata:s:a:0 language=deu -metadata creation_time=2020-02-03T04:05:06Z -c:v libx264 -c:a aac"
    ),
    MatrixCase(
      "chapters and tags from mkv to mp4", "in.mkv", "out.mp4",
      "\(both) -i DIR/meta.txt -map 0 -map 1 -map_metadata 2 -map_chapters 2 -metadata mood=dark -metadata:s:a:0 language=deu -c:v libx264 -c:a aac"
    ).with { $0.leftOut = ["tag MOOD"] }
      .differing("file: tag mood", because: "mp4 takes no names but its own"),
    MatrixCase(
      "chapters and tags from mp4 to mkv", "in.mp4", "out.mkv",
      "\(both) -i DIR/meta.txt -map 0 -map 1 -map_metadata 2 -map_chapters 2 -metadata:s:a:0 language=deu -c:v libx264 -c:a aac"
    ),
    MatrixCase(
      "tags in webm", "in.webm", "out.webm",
      "\(both) -metadata title=A~film -metadata artist=X -c:v \(vp9) -c:a libopus"),
    MatrixCase(
      "dispositions in mkv", "in.mkv", "out.mkv",
      "\(both) \(sound) -i DIR/s.srt -map 0 -map 1 -map 2 -map 3 -c:v libx264 -c:a aac -c:s srt -disposition:a:0 original -disposition:a:1 default+comment"
        + " -disposition:s:0 forced+hearing_impaired"),
    MatrixCase(
      "dispositions in mp4", "in.mp4", "out.mp4",
      "\(both) \(sound) -map 0 -map 1 -map 2 -c:v libx264 -c:a aac -disposition:a:0 default -disposition:a:1 visual_impaired"
    ),
    MatrixCase(
      "rotated", "in.mp4", "out.mp4",
      [("\(video) -c:v libx264", "a.mp4"), ("-i DIR/a.mp4 -c copy -metadata:s:v rotate=90", "in.mp4")]
    ).short,
    MatrixCase(
      "rotated, to mov", "in.mov", "out.mov",
      [("\(video) -c:v libx264", "a.mov"), ("-i DIR/a.mov -c copy -metadata:s:v rotate=270", "in.mov")]),
    MatrixCase(
      "tags of streams from mkv to mp4", "in.mkv", "out.mp4",
      "\(both) -c:v libx264 -c:a aac -metadata:s:a:0 title=Sound -metadata:s:a:0 language=deu -metadata:s:a:0 mixer=Somebody"
    ).short.with { $0.leftOut = ["tag MIXER of stream 1"] }
      .differing("stream 1 (aac): tag mixer", because: "mp4 takes no names but its own")
      .differing(
        "stream 1 (aac): tag title",
        because: "it is the track's name, which this FFmpeg writes but does not read"),
    MatrixCase("pixels of 16:11", "in.mkv", "out.mp4", "\(video) -vf setsar=16/11 -c:v libx264"),
    MatrixCase("pixels of 8:9 in ts", "in.ts", "out.mkv", "\(video) -vf setsar=8/9 -c:v libx264"),
    MatrixCase(
      "stereoscopic", "in.mkv", "out.mkv", "\(video) -c:v libx264 -metadata:s:v stereo_mode=left_right"),
  ]
}
