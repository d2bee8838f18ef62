// SPDX-License-Identifier: Apache-2.0

// A single import gives users of the library jobs and steps, networks and model files, frames and encoder settings.
@_exported package import EnhancementModel
@_exported package import EnhancementPipeline
@_exported package import VideoIO
