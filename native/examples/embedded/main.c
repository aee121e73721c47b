/* Classifies images with the network in this program: classify IMAGES.f32 [OUTPUTS.f32]
 *
 * IMAGES are float32 from 0 to 1, as the model wants them, one after the other. All outputs go to OUTPUTS. */
#include <sparsenas.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return fprintf(stderr, "Usage: classify IMAGES.f32 [OUTPUTS.f32]\n"), 2;
  sparsenas_model* network = sparsenas_open_memory(model, model_bytes, 1);
  if (network == NULL) return fprintf(stderr, "%s\n", sparsenas_last_error()), 2;

  const sparsenas_input input = sparsenas_input_of(network);
  const size_t pixels = input.height * input.width * input.channels;
  const size_t count = sparsenas_outputs(network);
  float* image = malloc(pixels * sizeof *image);
  float* outputs = malloc(count * sizeof *outputs);
  FILE* images = fopen(argv[1], "rb");
  if (images == NULL) return fprintf(stderr, "%s: cannot read\n", argv[1]), 2;
  FILE* all = argc == 3 ? fopen(argv[2], "wb") : NULL;
  if (argc == 3 && all == NULL) return fprintf(stderr, "%s: cannot write\n", argv[2]), 2;

  size_t done = 0;
  while (fread(image, sizeof *image, pixels, images) == pixels) {
    if (sparsenas_run(network, image, 1, outputs) != 0)
      return fprintf(stderr, "%s\n", sparsenas_last_error()), 1;
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) best = outputs[i] > outputs[best] ? i : best;
    const char* name = sparsenas_class_name(network, best);
    printf("%zu %s %g\n", best, name == NULL ? "" : name, outputs[best]);
    if (all != NULL && fwrite(outputs, sizeof *outputs, count, all) != count)
      return fprintf(stderr, "%s: cannot write\n", argv[2]), 1;
    ++done;
  }
  if (done == 0)
    return fprintf(stderr, "%s: expected images of %zu float32 numbers\n", argv[1], pixels), 2;

  if (all != NULL && fclose(all) != 0) return fprintf(stderr, "%s: cannot write\n", argv[2]), 1;
  fclose(images);
  free(outputs);
  free(image);
  sparsenas_close(network);
  return 0;
}
