// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Testing

@Suite struct RecipeTests {
  private struct Made: Recipe {
    var note: String
    var start: RecipeValue
  }

  @Test(arguments: [
    (#"{"a":[1,-2,18446744073709551615,0.0004],"b":{"c":true,"d":null}}"#, nil), ("", "null"),
    ("by hand", #""by hand""#), (#"{"cut":"#, #""{\"cut\":""#), (#"a "quote""#, #""a \"quote\"""#),
  ]) func recipesOfAnyTextAreKept(start: String, expected: String?) throws {
    let json = Made(note: "a/b", start: RecipeValue(recipe: start)).json
    #expect(json == #"{"note":"a/b","start":\#(expected ?? start)}"#)
    #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(json.utf8)) }
  }
}
