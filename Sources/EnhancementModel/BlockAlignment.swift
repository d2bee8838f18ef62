// SPDX-License-Identifier: Apache-2.0

extension Architecture {
  /// The window as the network takes it: neighbours brought to the centre frame as `alignment` says.
  public func aligned(_ window: [PlanarFrame]) -> [PlanarFrame] {
    switch alignment {
    case .none: window
    case .block: window
    }
  }
}
