// SPDX-License-Identifier: Apache-2.0

/// File names as text. For the system they are bytes, of any encoding or none; text of Swift is Unicode.
///
/// Bytes that are no UTF-8 stand in text as the scalars U+10FE80 to U+10FEFF, one for each byte from 0x80 to 0xFF. A name that
/// holds these scalars itself has its bytes replaced alike, so every name has one text, and every text leads back to its bytes.
public enum FileName {
  private static let firstScalar: UInt32 = 0x10_FE00
  private static let scalars = (firstScalar + 0x80)...(firstScalar + 0xFF)

  /// The text that stands for bytes.
  public static func text(_ bytes: some Collection<UInt8>) -> String {
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

  /// The bytes that a text stands for.
  public static func bytes(_ text: String) -> [UInt8] {
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

  /// The bytes that a text stands for, with a zero behind them, as C takes them.
  public static func cString(_ text: String) -> [CChar] { bytes(text).map { CChar(bitPattern: $0) } + [0] }

  /// Text that does nothing to a terminal: what would move its cursor, colour it or turn the direction of writing is shown as
  /// `\x1b` or `\u{202e}`, and bytes that are no text as `\xe9`.
  /// - Parameter lines: whether line breaks stay.
  public static func escaped(_ text: String, lines: Bool = false) -> String {
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

  /// The text with bytes that are none shown as `\xe9`, and all else as it is: for formats that have escapes of their own.
  public static func legible(_ text: String) -> String {
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
    // Bytes below 0x80 are never part of what is no UTF-8.
    Unicode.Scalar(firstScalar + UInt32(byte)) ?? "\u{FFFD}"
  }

  private static func needsEscape(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return true
    // Marks that turn the direction of writing, by which a name can look like another one.
    case .format:
      return (0x200E...0x200F).contains(scalar.value) || (0x202A...0x202E).contains(scalar.value)
        || (0x2066...0x2069).contains(scalar.value)
    default: return scalars.contains(scalar.value)
    }
  }
}
