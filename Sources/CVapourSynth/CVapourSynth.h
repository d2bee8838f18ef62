// SPDX-License-Identifier: Apache-2.0
// The part of VapourSynth's plugin interface (API 4.0) that this package uses, declared independently so that
// the build does not require VapourSynth. Unused members only keep the layout. `make vapoursynth` compares
// all of it with VapourSynth's own header: abi-check.c.
#ifndef CVAPOURSYNTH_H
#define CVAPOURSYNTH_H

#include <stddef.h>
#include <stdint.h>

typedef struct CVSFrame CVSFrame;
typedef struct CVSNode CVSNode;
typedef struct CVSCore CVSCore;
typedef struct CVSPlugin CVSPlugin;
typedef struct CVSMap CVSMap;
typedef struct CVSFrameContext CVSFrameContext;
typedef struct CVSAPI CVSAPI;

enum { CVS_API_VERSION = 4 << 16 };
enum { CVS_GRAY = 1, CVS_YUV = 3 };
enum { CVS_INTEGER = 0 };
// Frames are made by one thread at a time; any thread may request their inputs.
enum { CVS_PARALLEL_REQUESTS = 1 };
enum { CVS_INITIAL = 0, CVS_ALL_FRAMES_READY = 1 };
// Frames are requested in any order, and repeatedly.
enum { CVS_GENERAL_PATTERN = 0 };
enum { CVS_REPLACE = 0 };

typedef struct CVSVideoFormat {
  int colorFamily, sampleType, bitsPerSample, bytesPerSample;
  // Binary logarithms of the chroma subsampling.
  int subSamplingW, subSamplingH;
  int numPlanes;
} CVSVideoFormat;

typedef struct CVSVideoInfo {
  CVSVideoFormat format;
  // 0/1 for a variable rate.
  int64_t fpsNum, fpsDen;
  // 0 for variable size.
  int width, height;
  int numFrames;
} CVSVideoInfo;

typedef struct CVSFilterDependency {
  CVSNode *source;
  int requestPattern;
} CVSFilterDependency;

typedef void (*CVSPublicFunction)(const CVSMap *in, CVSMap *out, void *userData, CVSCore *core, const CVSAPI *api);
typedef const CVSFrame *(*CVSGetFrame)(int n, int activationReason, void *instanceData, void **frameData,
                                       CVSFrameContext *context, CVSCore *core, const CVSAPI *api);
typedef void (*CVSFree)(void *instanceData, CVSCore *core, const CVSAPI *api);

typedef struct CVSPluginAPI {
  int (*getAPIVersion)(void);
  int (*configPlugin)(const char *identifier, const char *pluginNamespace, const char *name, int pluginVersion,
                      int apiVersion, int flags, CVSPlugin *plugin);
  int (*registerFunction)(const char *name, const char *arguments, const char *returnType, CVSPublicFunction function,
                          void *functionData, CVSPlugin *plugin);
} CVSPluginAPI;

typedef void (*CVSUnused)(void);

struct CVSAPI {
  // Filters and nodes.
  void (*createVideoFilter)(CVSMap *out, const char *name, const CVSVideoInfo *info, CVSGetFrame getFrame, CVSFree free,
                            int filterMode, const CVSFilterDependency *dependencies, int count, void *instanceData,
                            CVSCore *core);
  CVSUnused createVideoFilter2, createAudioFilter, createAudioFilter2, setLinearFilter, setCacheMode, setCacheOptions;
  void (*freeNode)(CVSNode *node);
  CVSUnused addNodeRef, getNodeType;
  const CVSVideoInfo *(*getVideoInfo)(CVSNode *node);
  CVSUnused getAudioInfo;

  // Frames.
  CVSFrame *(*newVideoFrame)(const CVSVideoFormat *format, int width, int height, const CVSFrame *properties,
                             CVSCore *core);
  CVSUnused newVideoFrame2, newAudioFrame, newAudioFrame2;
  void (*freeFrame)(const CVSFrame *frame);
  CVSUnused addFrameRef, copyFrame;
  const CVSMap *(*getFramePropertiesRO)(const CVSFrame *frame);
  CVSMap *(*getFramePropertiesRW)(CVSFrame *frame);
  ptrdiff_t (*getStride)(const CVSFrame *frame, int plane);
  const uint8_t *(*getReadPtr)(const CVSFrame *frame, int plane);
  uint8_t *(*getWritePtr)(CVSFrame *frame, int plane);
  CVSUnused getVideoFrameFormat, getAudioFrameFormat, getFrameType, getFrameWidth, getFrameHeight, getFrameLength;

  // Formats.
  int (*getVideoFormatName)(const CVSVideoFormat *format, char *buffer);
  CVSUnused getAudioFormatName, queryVideoFormat, queryAudioFormat, queryVideoFormatID, getVideoFormatByID;

  // Frame requests.
  CVSUnused getFrame, getFrameAsync;
  const CVSFrame *(*getFrameFilter)(int n, CVSNode *node, CVSFrameContext *context);
  void (*requestFrameFilter)(int n, CVSNode *node, CVSFrameContext *context);
  CVSUnused releaseFrameEarly, cacheFrame;
  void (*setFilterError)(const char *message, CVSFrameContext *context);

  // Functions.
  CVSUnused createFunction, freeFunction, addFunctionRef, callFunction;

  // Maps: arguments, results, and frame properties.
  CVSUnused createMap, freeMap, clearMap, copyMap;
  void (*mapSetError)(CVSMap *map, const char *message);
  CVSUnused mapGetError, mapNumKeys, mapGetKey, mapDeleteKey;
  // -1 if the key is missing.
  int (*mapNumElements)(const CVSMap *map, const char *key);
  CVSUnused mapGetType, mapSetEmpty;
  int64_t (*mapGetInt)(const CVSMap *map, const char *key, int index, int *error);
  CVSUnused mapGetIntSaturated, mapGetIntArray;
  int (*mapSetInt)(CVSMap *map, const char *key, int64_t value, int append);
  CVSUnused mapSetIntArray;
  double (*mapGetFloat)(const CVSMap *map, const char *key, int index, int *error);
  CVSUnused mapGetFloatSaturated, mapGetFloatArray;
  int (*mapSetFloat)(CVSMap *map, const char *key, double value, int append);
  CVSUnused mapSetFloatArray;
  const char *(*mapGetData)(const CVSMap *map, const char *key, int index, int *error);
  int (*mapGetDataSize)(const CVSMap *map, const char *key, int index, int *error);
  CVSUnused mapGetDataTypeHint, mapSetData;
  CVSNode *(*mapGetNode)(const CVSMap *map, const char *key, int index, int *error);
  // The remaining members are unused.
};

// dladdr's description of the library that contains an address; glibc declares it only with _GNU_SOURCE,
// which modules lack.
typedef struct CVSLibrary {
  const char *path;
  void *base;
  const char *symbol;
  void *symbolAddress;
} CVSLibrary;

#ifdef __APPLE__
int cvs_find_library(const void *address, CVSLibrary *library) __asm__("_dladdr");
#else
int cvs_find_library(const void *address, CVSLibrary *library) __asm__("dladdr");
#endif

#endif
