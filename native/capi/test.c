/* The C interface, used from C: test MODEL IMAGE OUTPUTS, of the golden model. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparsenas.h"

static int failures = 0;

static void Expect(int true, const char* what) {
  if (true) return;
  fprintf(stderr, "Expected %s. Last error: '%s'\n", what, sparsenas_last_error());
  ++failures;
}
#define EXPECT(condition) Expect(condition, #condition)

static void* ReadFile(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "Cannot read %s\n", path);
    exit(2);
  }
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  void* bytes = malloc(*size);
  if (fread(bytes, 1, *size, file) != *size) exit(2);
  fclose(file);
  return bytes;
}

static int Says(const char* text) { return strstr(sparsenas_last_error(), text) != NULL; }

static const char *path, *image_path, *outputs_path;

/* Opens in both ways and runs a batch of two; on several threads at once, each with its model. */
static void* OpenAndRun(void* threads) {
  const int count = *(int*)threads;
  size_t size, image_size, outputs_size;
  void* bytes = ReadFile(path, &size);
  float* image = ReadFile(image_path, &image_size);
  float* expected = ReadFile(outputs_path, &outputs_size);
  float* batch = malloc(2 * image_size);
  memcpy(batch, image, image_size);
  memcpy((char*)batch + image_size, image, image_size);
  for (int from_memory = 0; from_memory < 2; ++from_memory) {
    sparsenas_model* model =
        from_memory ? sparsenas_open_memory(bytes, size, count) : sparsenas_open(path, count);
    EXPECT(model != NULL);
    if (model == NULL) continue;
    const sparsenas_input input = sparsenas_input_of(model);
    EXPECT(input.height == 9 && input.width == 7 && input.channels == 3);
    EXPECT(input.layout == SPARSENAS_HWC);
    EXPECT(input.height * input.width * input.channels * sizeof(float) == image_size);
    const size_t outputs = sparsenas_outputs(model);
    EXPECT(outputs * sizeof(float) == outputs_size);
    EXPECT(strcmp(sparsenas_class_name(model, 0), "cat") == 0);
    EXPECT(sparsenas_class_name(model, outputs) == NULL);
    EXPECT(sparsenas_memory(model) > 1000);
    float* found = malloc(2 * outputs_size);
    EXPECT(sparsenas_run(model, batch, 2, found) == 0);
    for (size_t i = 0; i < 2 * outputs; ++i) {
      const float want = expected[i % outputs];
      EXPECT(fabsf(found[i] - want) <= 1e-5f + 1e-4f * fabsf(want));
    }
    EXPECT(sparsenas_run(model, NULL, 0, NULL) == 0);
    EXPECT(sparsenas_run(model, NULL, 1, found) == -1);
    EXPECT(Says("memory for 1 images"));
    free(found);
    sparsenas_close(model);
  }
  free(batch);
  free(expected);
  free(image);
  free(bytes);
  return NULL;
}

static void* HasNoError(void* unused) {
  (void)unused;
  EXPECT(strcmp(sparsenas_last_error(), "") == 0);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  path = argv[1];
  image_path = argv[2];
  outputs_path = argv[3];

  EXPECT(strcmp(sparsenas_last_error(), "") == 0);
  EXPECT(strlen(sparsenas_version()) >= 5);
  EXPECT(sparsenas_open("no/such.snas", 1) == NULL);
  EXPECT(Says("no/such.snas"));
  EXPECT(sparsenas_open(NULL, 1) == NULL);
  EXPECT(Says("found NULL"));
  EXPECT(sparsenas_open(path, 0) == NULL);
  EXPECT(Says("`threads` must be at least 1, found 0"));
  EXPECT(sparsenas_open(image_path, 1) == NULL);
  EXPECT(Says("magic"));
  EXPECT(sparsenas_open_memory("SNAS", 4, 1) == NULL);
  EXPECT(Says("at least 64 bytes"));
  EXPECT(sparsenas_open_memory(NULL, 0, 1) == NULL);
  EXPECT(sparsenas_run(NULL, NULL, 0, NULL) == -1);
  sparsenas_close(NULL);

  pthread_t other;
  pthread_create(&other, NULL, HasNoError, NULL);
  pthread_join(other, NULL);
  int one = 1, two = 2;
  OpenAndRun(&two);
  pthread_t workers[3];
  for (int i = 0; i < 3; ++i) pthread_create(&workers[i], NULL, OpenAndRun, &one);
  for (int i = 0; i < 3; ++i) pthread_join(workers[i], NULL);
  if (failures == 0) puts("ok");
  return failures != 0;
}
