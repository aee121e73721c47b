/* The bytes of a model file, for sparsenas_open_memory(). */
#ifndef MODEL_H_
#define MODEL_H_

#include <stddef.h>

extern const size_t model_bytes;
extern const unsigned char model[];

#endif
