// SPDX-License-Identifier: Apache-2.0
import Testing
import Videnhance

@Suite struct VideoPictureTests {
  @Test func rowsAreSpansOfSamples() throws {
    let layout = try #require(PictureLayout(name: "yuv422p10le"))
    let picture = try VideoPicture(
      width: 5, height: 3, layout: layout, time: MediaTime(value: 7, timescale: 30),
      duration: MediaTime(value: 1, timescale: 15), samples: UInt16.self
    ) { plane, row, samples in
      for x in samples.indices { samples[x] = UInt16(100 * plane + 10 * row + x) }
    }
    #expect(picture.width == 5 && picture.height == 3 && picture.layout == layout)
    #expect(picture.duration == (try MediaTime(value: 2, timescale: 30)))
    for plane in 0..<layout.planeCount {
      var rows: [[UInt16]] = []
      try picture.forEachRow(ofPlane: plane, samples: UInt16.self) { row, samples in
        #expect(row == rows.count)
        rows.append(samples.indices.map { samples[$0] })
      }
      let columns = plane == 0 ? 5 : 3
      for (row, samples) in rows.enumerated() {
        let first = 100 * plane + 10 * row
        #expect(samples.map(Int.init) == Array(first..<first + columns))
      }
      #expect(rows.count == 3)
      #expect(picture.rowCount(ofPlane: plane) == 3 && picture.columnCount(ofPlane: plane) == columns)
      var bytes = 0
      picture.forEachRow(ofPlane: plane) { _, row in bytes += row.byteCount }
      #expect(bytes == 3 * columns * 2)
    }
  }

  @Test func samplesOfAnotherSizeAreAnError() throws {
    let time = try MediaTime(value: 0, timescale: 1)
    let expected = UsageError.sampleSize(layout: "yuv420p10le", bytes: 1)
    #expect(throws: expected) {
      try VideoPicture(width: 2, height: 2, layout: .yuv420p10, time: time, samples: UInt8.self) { _, _, _ in
      }
    }
    let picture = try VideoPicture(
      width: 2, height: 2, layout: .yuv420p10, time: time, samples: UInt16.self
    ) { _, _, _ in }
    #expect(throws: expected) { try picture.forEachRow(ofPlane: 0, samples: UInt8.self) { _, _ in } }
  }

  @Test func impossibleSizesAreErrors() throws {
    let time = try MediaTime(value: 0, timescale: 1)
    do {
      _ = try VideoPicture(width: 0, height: 2, layout: .yuv420p, time: time, samples: UInt8.self) {
        _, _, _ in
      }
      Issue.record("a picture without columns")
    } catch {
      #expect(error is any VidenhanceError, "\(error)")
    }
  }
}
