/* SparseNAS: runs sparse convolutional networks, `.snas` model files.
 *
 * Link with libsparsenas. Functions that can fail say so by what they return, and then
 * sparsenas_last_error() is one line for people: what was expected, what was found, where.
 *
 * A model may be used by one thread at a time; different models, by different threads at the same
 * time. Whatever a model returns as a pointer belongs to it and lives as long.
 */
#ifndef SPARSENAS_H_
#define SPARSENAS_H_

#include <stddef.h>

#if defined(_WIN32)
#define SPARSENAS_API
#else
#define SPARSENAS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sparsenas_model sparsenas_model;

/* Of an image: all channels of a pixel side by side, or all pixels of a channel. */
typedef enum { SPARSENAS_HWC = 0, SPARSENAS_CHW = 1 } sparsenas_layout;

typedef struct {
  size_t height, width, channels;
  sparsenas_layout layout; /* How one image lies in memory: [H, W, C] or [C, H, W]. */
} sparsenas_input;

/* Loads a model file, checks it, and packs its weights for this machine; NULL where that fails.
 * `threads` (at least 1) share the layers that are large enough; the calling thread is one of them,
 * the others may run where it may run now. */
SPARSENAS_API sparsenas_model* sparsenas_open(const char* path, int threads);

/* The same from a file's bytes, which are not needed afterwards. */
SPARSENAS_API sparsenas_model* sparsenas_open_memory(const void* bytes, size_t size, int threads);

/* Frees a model; NULL is none. */
SPARSENAS_API void sparsenas_close(sparsenas_model* model);

/* Computes the outputs of `count` images, one after the other. `images` are float32 [count, ...],
 * as sparsenas_input says; `outputs` are [count, sparsenas_outputs(model)]. Allocates nothing.
 * Returns 0, or -1 where that fails. */
SPARSENAS_API int sparsenas_run(sparsenas_model* model, const float* images, size_t count,
                                float* outputs);

SPARSENAS_API sparsenas_input sparsenas_input_of(const sparsenas_model* model);

/* Numbers that one image gives. */
SPARSENAS_API size_t sparsenas_outputs(const sparsenas_model* model);

/* Name of an output, UTF-8; NULL where outputs have no names or there is no such output. */
SPARSENAS_API const char* sparsenas_class_name(const sparsenas_model* model, size_t output);

/* Bytes that the model holds: packed weights, and activations. */
SPARSENAS_API size_t sparsenas_memory(const sparsenas_model* model);

/* What went wrong last on the calling thread; empty where nothing has. Lives until the next call
 * that fails on this thread. */
SPARSENAS_API const char* sparsenas_last_error(void);

/* Version of the library, such as "0.1.0". */
SPARSENAS_API const char* sparsenas_version(void);

#ifdef __cplusplus
}
#endif

#endif
