/* SPDX-License-Identifier: MIT
 *
 * Memory that waits for its next use, of which the sanitizers know nothing: who
 * touches it is told of by AddressSanitizer, as with what was freed.  And pages
 * that did not come from malloc(): what they point to is no leak.
 */
#ifndef PEAL_POISON_H
#define PEAL_POISON_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PEAL_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define PEAL_POISON 1
#endif

#ifdef PEAL_POISON
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define poison(p, n)	__asan_poison_memory_region((p), (n))
#define unpoison(p, n)	__asan_unpoison_memory_region((p), (n))
#define pages_hold(p, n)	__lsan_register_root_region((p), (n))
#define pages_drop(p, n)	__lsan_unregister_root_region((p), (n))
#else
#define poison(p, n)	((void)(p), (void)(n))
#define unpoison(p, n)	((void)(p), (void)(n))
#define pages_hold(p, n)	((void)(p), (void)(n))
#define pages_drop(p, n)	((void)(p), (void)(n))
#endif

#endif
