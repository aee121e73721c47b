/* Classifies an image: classify MODEL.snas IMAGE.f32 (raw float32, as the model wants it). */
#include <sparsenas.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc != 3) return fprintf(stderr, "Usage: classify MODEL.snas IMAGE.f32\n"), 2;
  sparsenas_model* model = sparsenas_open(argv[1], 1);
  if (model == NULL) return fprintf(stderr, "%s\n", sparsenas_last_error()), 2;

  const sparsenas_input input = sparsenas_input_of(model);
  const size_t pixels = input.height * input.width * input.channels;
  const size_t count = sparsenas_outputs(model);
  float* image = malloc(pixels * sizeof *image);
  float* outputs = malloc(count * sizeof *outputs);
  FILE* file = fopen(argv[2], "rb");
  if (file == NULL || fread(image, sizeof *image, pixels, file) != pixels)
    return fprintf(stderr, "%s: expected %zu float32 numbers\n", argv[2], pixels), 2;

  if (sparsenas_run(model, image, 1, outputs) != 0)
    return fprintf(stderr, "%s\n", sparsenas_last_error()), 1;
  size_t best = 0;
  for (size_t i = 1; i < count; ++i) best = outputs[i] > outputs[best] ? i : best;
  const char* name = sparsenas_class_name(model, best);
  printf("%zu %s %g\n", best, name == NULL ? "" : name, outputs[best]);

  fclose(file);
  free(outputs);
  free(image);
  sparsenas_close(model);
  return 0;
}
