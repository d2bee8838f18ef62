// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// The task of a network.
package enum EnhancementTask: String, Codable, Sendable, CaseIterable {
  /// Super-resolution.
  case superResolution = "sr"
  /// Removal of compression artefacts, noise and blur; frames keep their size.
  case restoration = "restore"
  /// Noise removal: frames keep their size, and the noise level is an input.
  case denoising = "denoise"
  /// Frame interpolation: the inputs are the two frames around a new instant, warped to it; the network corrects their blend.
  case interpolation = "interp"
}

/// How neighbouring frames are aligned to the centre frame before they enter the network.
package enum WindowAlignment: String, Codable, Sendable, CaseIterable {
  /// Not aligned.
  case none
  /// Blocks of 8 x 8 luma pixels are moved by whole-pixel vectors (exact on integers), and the fractional motion is an
  /// additional input: see `WindowPacker`.
  case block
}

/// How the encodings of a window's frames become the stream.
package enum WindowFusion: String, Codable, Sendable, CaseIterable {
  /// A convolution over all slots with weights for each.
  case convolution
  /// Attention over the slots (`SlotAttention`), added to a convolution of the centre.
  case attention
}

/// A network as a value: everything needed to build its graph. Stored in every weight file.
package struct Architecture: Hashable, Codable, Sendable {
  /// Task.
  package var task: EnhancementTask
  /// Upscaling factor of width and height.
  package var scale: Int
  /// Frames per window, odd: the centre frame is enhanced. Two for interpolation: the frames around the new instant.
  package var window: Int
  /// Alignment of the neighbours.
  package var alignment: WindowAlignment
  /// Channels of each frame's encoding.
  package var encoderChannels: Int
  /// Channels of the residual stream.
  package var channels: Int
  /// Residual blocks of two convolutions.
  package var blocks: Int
  /// Whether an interpolation network also outputs, for each sample, how to weight the two warped frames: see
  /// `BlendMask`. Nil, as in older files, means no.
  package var hasMask: Bool?
  /// Whether properties of the source are inputs: its noise level, and its mean quantizer
  /// (`WindowConditions`). Nil, as in older files, means no. Denoising always takes the noise level.
  package var isConditioned: Bool?
  /// Whether a conditioned network gets the detail that a soft source lacks, by its sharpness (`MissingDetail`). Nil, as in
  /// older files, means no.
  package var hasSharpness: Bool?
  /// How the frames are fused. Nil, as in older files, means by a convolution.
  package var fusion: WindowFusion?
  /// Heads of fusion by attention, of `SlotAttention.headChannels` channels each; nil means `defaultHeads`.
  package var heads: Int?

  /// Heads of fusion by attention unless set.
  package static let defaultHeads = 4

  /// Channels of a packed 4:2:0 frame on the half-resolution grid: four luma phases, U, V.
  package static let frameChannels = 6
  /// One 64 -> 64 3x3 layer on the grid, in multiply-accumulates per point: the unit of cost.
  package static let referenceLayerCost = 64 * 64 * 9

  /// Creates an architecture.
  package init(
    task: EnhancementTask, scale: Int, window: Int, alignment: WindowAlignment, encoderChannels: Int,
    channels: Int,
    blocks: Int, hasMask: Bool? = nil, isConditioned: Bool? = nil, hasSharpness: Bool? = nil,
    fusion: WindowFusion? = nil, heads: Int? = nil
  ) {
    self.task = task
    self.scale = scale
    self.window = window
    self.alignment = alignment
    self.encoderChannels = encoderChannels
    self.channels = channels
    self.blocks = blocks
    self.hasMask = hasMask
    self.isConditioned = isConditioned
    self.hasSharpness = hasSharpness
    self.fusion = fusion
    self.heads = heads
  }

  /// The default super-resolution network, about 10 reference layers.
  package static let balancedSuperResolution = Architecture(
    task: .superResolution, scale: 2, window: 5, alignment: .block, encoderChannels: 16, channels: 64,
    blocks: 4)

  /// The default super-resolution network for real footage.
  package static let realSuperResolution = Architecture(
    task: .superResolution, scale: 2, window: 5, alignment: .block, encoderChannels: 16, channels: 64,
    blocks: 4, isConditioned: true)

  /// The default network for restoration, about 10 reference layers on the grid of its source.
  package static let balancedRestoration = Architecture(
    task: .restoration, scale: 1, window: 5, alignment: .block, encoderChannels: 16, channels: 64,
    blocks: 4, isConditioned: true)

  /// The default denoising network, about 10 reference layers on the grid of its source.
  package static let balancedDenoising = Architecture(
    task: .denoising, scale: 1, window: 7, alignment: .block, encoderChannels: 16, channels: 64, blocks: 4)

  /// The default interpolation network, about 9 reference layers on the grid of its source.
  package static let balancedInterpolation = Architecture(
    task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 32, channels: 64,
    blocks: 4, hasMask: true)

  /// The default network of a task.
  package static func balanced(_ task: EnhancementTask) -> Architecture {
    switch task {
    case .superResolution: balancedSuperResolution
    case .restoration: balancedRestoration
    case .denoising: balancedDenoising
    case .interpolation: balancedInterpolation
    }
  }

  /// Channels of the packed input of a window slot.
  package func channels(ofSlot slot: Int) -> Int {
    if task == .interpolation { return InterpolationPacker.channels }
    if alignment == .block && slot != window / 2 {
      return NeighbourMotion.neighbourChannels + (takesQuantizers ? 1 : 0)
    }
    return centreChannels
  }

  /// Channels of the packed centre frame: the frame, then the properties of the source.
  package var centreChannels: Int {
    Self.frameChannels + (takesNoiseLevel ? 1 : 0) + (takesQuantizers ? 1 : 0)
      + (takesSharpness ? MissingDetail.channels : 0)
  }

  /// Whether the slot of the window is the enhanced frame itself.
  private func isCentre(_ slot: Int) -> Bool { task != .interpolation && slot == window / 2 }

  /// Whether the noise level is an input.
  package var takesNoiseLevel: Bool { task == .denoising || takesQuantizers }
  /// Whether clipping ranges depend on the noise level (`NoiseBands`).
  package var hasNoiseBands: Bool { task == .denoising }
  /// Whether the mean quantizer of the source is an input.
  package var takesQuantizers: Bool { isConditioned ?? false }
  /// Whether detail by the sharpness of the source is an input.
  package var takesSharpness: Bool { hasSharpness ?? false }

  /// Whether the frames are fused by attention.
  package var attends: Bool { fusion == .attention }
  /// Heads of the attention.
  package var headCount: Int { heads ?? Self.defaultHeads }

  /// Channels of the residual on the grid: (2 scale)² luma phases, then scale² phases of U and of V.
  package var residualChannels: Int { Self.frameChannels * scale * scale }
  /// Channels of the last layer: those of the residual, then as many for the mask if there is one.
  package var outputChannels: Int { residualChannels * (isMasked ? 2 : 1) }
  /// Whether the network outputs a mask.
  package var isMasked: Bool { hasMask ?? false }
  /// The number of luma channels of the output, which come first.
  package var lumaChannels: Int { 4 * scale * scale }
  /// Cost of a frame in reference layers (L64).
  package var cost: Double { Double(graph.operationsPerPoint) / Double(Self.referenceLayerCost) }

  /// Checks that all extents are sensible, so that a file cannot cause absurd allocations.
  package func validate() throws(ModelError) {
    let isWindow = task == .interpolation ? window == 2 : (1...9).contains(window) && window % 2 == 1
    let plausible =
      [1, 2, 4].contains(scale) && isWindow && (1...256).contains(channels)
      && (1...256).contains(encoderChannels) && (0...64).contains(blocks) && channels % 8 == 0
      && encoderChannels % 8 == 0
    if !plausible { throw .badArchitecture("extents out of range") }
    if [.denoising, .restoration].contains(task) && scale != 1 {
      throw .badArchitecture("\(task.rawValue) keeps the size of frames")
    }
    if takesQuantizers && ![.superResolution, .restoration].contains(task) {
      throw .badArchitecture("\(task.rawValue) does not take quantizers")
    }
    if takesSharpness && !(takesQuantizers && alignment == .block) {
      throw .badArchitecture("sharpness is an input of conditioned networks that align their neighbours")
    }
    if task == .interpolation && (scale != 1 || alignment == .none) {
      throw .badArchitecture("interpolation keeps the size of frames and aligns them")
    }
    if attends && (task == .interpolation || window == 1) {
      throw .badArchitecture("attention needs a centre frame and neighbours")
    }
    if heads != nil && !attends { throw .badArchitecture("only attention has heads") }
    if !(1...AttentionParameters.mostHeads).contains(headCount) {
      throw .badArchitecture("heads out of range")
    }
    if isMasked && task != .interpolation { throw .badArchitecture("only interpolation has a mask") }
    if takesNoiseLevel && window > 1 && alignment == .none {
      throw .badArchitecture("\(task.rawValue) aligns its neighbours")
    }
  }

  /// One encoder for the centre and one shared by the neighbours -> fusion of all slots -> pre-activation residual blocks
  /// -> tail.
  package var graph: NetworkGraph {
    var graph = NetworkGraph()
    let encoder = graph.layer(
      .init(
        name: "encoder", inputChannels: channels(ofSlot: window / 2), outputChannels: encoderChannels,
        isEdge: true))
    let fusion = fusionLayers(&graph)
    let neighbour =
      window == 1 || alignment == .none || task == .interpolation
      ? encoder
      : graph.layer(
        .init(
          name: "neighbour", inputChannels: channels(ofSlot: 0), outputChannels: encoderChannels,
          isEdge: true))
    let encodings = (0..<window).map { slot in
      graph.convolve(isCentre(slot) ? encoder : neighbour, [graph.frame(slot: slot)], rectified: false)
    }
    var stream = fuse(encodings, fusion, &graph)
    for block in 0..<blocks {
      let layers = ["a", "b"].map { part in
        graph.layer(
          .init(
            name: "body.\(block).\(part)", inputChannels: channels, outputChannels: channels, isEdge: false))
      }
      let inner = graph.convolve(layers[0], [stream], rectified: true)
      stream = graph.add(stream, graph.convolve(layers[1], [inner], rectified: true))
    }
    let tail = graph.layer(
      .init(name: "tail", inputChannels: channels, outputChannels: outputChannels, isEdge: true))
    _ = graph.convolve(tail, [stream], rectified: true)
    return graph
  }

  /// The layers that fuse the frames: by convolution one; by attention those of the centre, of queries, keys and values, and
  /// the projection of the attention's result. Only the centre's stays at 8 bits; the others add to the stream, as the body
  /// does.
  private func fusionLayers(_ graph: inout NetworkGraph) -> [Int] {
    guard attends else {
      return [
        graph.layer(
          .init(
            name: "fusion", slots: window, inputChannels: encoderChannels, outputChannels: channels,
            isEdge: true))
      ]
    }
    let attended = headCount * SlotAttention.headChannels
    return [
      ConvolutionLayer(
        name: "fusion.centre", inputChannels: encoderChannels, outputChannels: channels, isEdge: true),
      ConvolutionLayer(
        name: "fusion.query", inputChannels: encoderChannels, outputChannels: attended, isEdge: false),
      ConvolutionLayer(
        name: "fusion.key", inputChannels: encoderChannels, outputChannels: attended, isEdge: false),
      ConvolutionLayer(
        name: "fusion.value", inputChannels: encoderChannels, outputChannels: attended, isEdge: false),
      ConvolutionLayer(
        name: "fusion.projection", inputChannels: attended, outputChannels: channels, isEdge: false),
    ].map { graph.layer($0) }
  }

  /// The stream from the encodings of all slots.
  private func fuse(_ encodings: [Int], _ layers: [Int], _ graph: inout NetworkGraph) -> Int {
    guard attends else { return graph.convolve(layers[0], encodings, rectified: true) }
    let centre = encodings[window / 2]
    let stream = graph.convolve(layers[0], [centre], rectified: true)
    let query = graph.convolve(layers[1], [centre], rectified: true)
    let keys = encodings.map { graph.convolve(layers[2], [$0], rectified: true) }
    let values = encodings.map { graph.convolve(layers[3], [$0], rectified: true) }
    let attended = graph.attend(SlotAttention(query: query, keys: keys, values: values, heads: headCount))
    return graph.add(stream, graph.convolve(layers[4], [attended], rectified: false))
  }
}
