// SPDX-License-Identifier: Apache-2.0
// OpenSSL's message digests.
#ifndef CCRYPTO_H
#define CCRYPTO_H

#include <openssl/evp.h>

#endif
