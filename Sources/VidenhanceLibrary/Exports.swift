// SPDX-License-Identifier: Apache-2.0

// A single import gives users of the library jobs and steps, networks and model files, frames and encoder settings.
@_exported public import EnhancementModel
@_exported public import EnhancementPipeline
@_exported public import VideoIO
