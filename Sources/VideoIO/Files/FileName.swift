// SPDX-License-Identifier: Apache-2.0

/// Converts file names to text. To the system, names are bytes in any encoding or none; Swift strings are Unicode.
///
/// Bytes that are not valid UTF-8 are mapped to the scalars U+10FE80 to U+10FEFF, one for each byte from 0x80 to 0xFF.
/// The bytes of these scalars in a name are mapped likewise, so names and texts correspond one to one.
package enum FileName {
  private static let firstScalar: UInt32 = 0x10_FE00
  private static let scalars = (firstScalar + 0x80)...(firstScalar + 0xFF)

  /// The text for the bytes of a name.
  package static func text(_ bytes: some Collection<UInt8>) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
      !text.unicodeScalars.contains(where: { scalars.contains($0.value) })
    {
      return text
    }
    let bytes = Array(bytes)
    var result = String.UnicodeScalarView()
    var position = 0
    while position < bytes.count {
      var parser = Unicode.UTF8.ForwardParser()
      var rest = bytes[position...].makeIterator()
      if case .valid(let encoded) = parser.parseScalar(from: &rest) {
        let scalar = Unicode.UTF8.decode(encoded)
        if !scalars.contains(scalar.value) {
          result.append(scalar)
          position += encoded.count
          continue
        }
        for byte in encoded { result.append(stand(for: byte)) }
        position += encoded.count
      } else {
        result.append(stand(for: bytes[position]))
        position += 1
      }
    }
    return String(result)
  }

  /// The bytes of a name given as text.
  package static func bytes(_ text: String) -> [UInt8] {
    guard text.unicodeScalars.contains(where: { scalars.contains($0.value) }) else { return Array(text.utf8) }
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      if scalars.contains(scalar.value) {
        result.append(UInt8(scalar.value - firstScalar))
      } else {
        result += Array(UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter)
      }
    }
    return result
  }

  /// The bytes of a name given as text, as a C string.
  package static func cString(_ text: String) -> [CChar] { bytes(text).map { CChar(bitPattern: $0) } + [0] }

  /// Text that is safe to print on a terminal: control characters and marks of writing direction are escaped, as in
  /// `\x1b` or `\u{202e}`, and bytes that are not valid UTF-8 as in `\xe9`.
  /// - Parameter lines: whether to keep line breaks.
  package static func escaped(_ text: String, lines: Bool = false) -> String {
    guard text.unicodeScalars.contains(where: { needsEscape($0) }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n" where lines: result.append("\n")
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalars.contains(scalar.value):
        result += "\\x" + String(scalar.value - firstScalar, radix: 16)
      case _ where needsEscape(scalar) && scalar.value < 0x100:
        result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      case _ where needsEscape(scalar): result += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// The text with only invalid bytes escaped, as in `\xe9`: for formats that have their own escapes.
  package static func legible(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { scalars.contains($0.value) }) else { return text }
    return text.unicodeScalars.reduce(into: "") { result, scalar in
      if scalars.contains(scalar.value) {
        result += "\\x" + String(scalar.value - firstScalar, radix: 16)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
  }

  private static func stand(for byte: UInt8) -> Unicode.Scalar {
    // Invalid sequences contain no bytes below 0x80.
    Unicode.Scalar(firstScalar + UInt32(byte)) ?? "\u{FFFD}"
  }

  private static func needsEscape(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return true
    // Marks of writing direction can make a name look like another one.
    case .format:
      return (0x200E...0x200F).contains(scalar.value) || (0x202A...0x202E).contains(scalar.value)
        || (0x2066...0x2069).contains(scalar.value)
    default: return scalars.contains(scalar.value)
    }
  }
}
