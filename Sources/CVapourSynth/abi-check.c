// SPDX-License-Identifier: Apache-2.0
// Compiles only if the used parts of CVapourSynth.h agree with VapourSynth's own header.
#include <VapourSynth4.h>

#include "CVapourSynth.h"

#define SAME_VALUE(mine, theirs) _Static_assert((int)(mine) == (int)(theirs), #mine)
#define SAME_SIZE(mine, theirs) _Static_assert(sizeof(mine) == sizeof(theirs), #mine)
#define SAME_PLACE(mine, theirs, member) \
  _Static_assert(offsetof(mine, member) == offsetof(theirs, member), #mine "." #member)

_Static_assert(CVS_API_VERSION == VS_MAKE_VERSION(4, 0), "API version");
SAME_VALUE(CVS_GRAY, cfGray);
SAME_VALUE(CVS_YUV, cfYUV);
SAME_VALUE(CVS_INTEGER, stInteger);
SAME_VALUE(CVS_PARALLEL_REQUESTS, fmParallelRequests);
SAME_VALUE(CVS_INITIAL, arInitial);
SAME_VALUE(CVS_ALL_FRAMES_READY, arAllFramesReady);
SAME_VALUE(CVS_GENERAL_PATTERN, rpGeneral);
SAME_VALUE(CVS_REPLACE, maReplace);

SAME_SIZE(CVSVideoFormat, VSVideoFormat);
#define FORMAT(member) SAME_PLACE(CVSVideoFormat, VSVideoFormat, member)
FORMAT(colorFamily);
FORMAT(sampleType);
FORMAT(bitsPerSample);
FORMAT(bytesPerSample);
FORMAT(subSamplingW);
FORMAT(subSamplingH);
FORMAT(numPlanes);

SAME_SIZE(CVSVideoInfo, VSVideoInfo);
#define INFO(member) SAME_PLACE(CVSVideoInfo, VSVideoInfo, member)
INFO(format);
INFO(fpsNum);
INFO(fpsDen);
INFO(width);
INFO(height);
INFO(numFrames);

SAME_SIZE(CVSFilterDependency, VSFilterDependency);
SAME_PLACE(CVSFilterDependency, VSFilterDependency, source);
SAME_PLACE(CVSFilterDependency, VSFilterDependency, requestPattern);

#define PLUGIN(member) SAME_PLACE(CVSPluginAPI, VSPLUGINAPI, member)
PLUGIN(getAPIVersion);
PLUGIN(configPlugin);
PLUGIN(registerFunction);

#define HOST(member) SAME_PLACE(CVSAPI, VSAPI, member)
HOST(createVideoFilter);
HOST(freeNode);
HOST(getVideoInfo);
HOST(newVideoFrame);
HOST(freeFrame);
HOST(getFramePropertiesRO);
HOST(getFramePropertiesRW);
HOST(getStride);
HOST(getReadPtr);
HOST(getWritePtr);
HOST(getVideoFormatName);
HOST(getFrameFilter);
HOST(requestFrameFilter);
HOST(setFilterError);
HOST(mapSetError);
HOST(mapNumElements);
HOST(mapGetInt);
HOST(mapSetInt);
HOST(mapGetFloat);
HOST(mapSetFloat);
HOST(mapGetData);
HOST(mapGetDataSize);
HOST(mapGetNode);
