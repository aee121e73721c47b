// The runtime as functions for JavaScript (sparsenas.mjs calls them).
#include <cstdlib>

#include "base/arch.h"
#include "base/build_id.h"
#include "base/peak.h"
#include "model/model.h"

using namespace sparsenas;

#define EXPORT(name) __attribute__((export_name(#name))) name

extern "C" {

void* EXPORT(allocate)(size_t bytes) { return std::malloc(bytes); }
void EXPORT(release)(void* memory) { std::free(memory); }

const char* EXPORT(isa)() { return IsaName(DefaultIsa()); }
const char* EXPORT(build_id)() { return BuildId(); }
double EXPORT(peak_gflops)() { return MeasurePeakGflops(DefaultIsa()); }

// Copies the bytes of a model file.
Model* EXPORT(open_model)(const void* bytes, size_t size) {
  return new Model(Model::FromBytes(bytes, size, "bytes", DefaultIsa()));
}
void EXPORT(close_model)(Model* model) { delete model; }

size_t EXPORT(image_floats)(const Model* model) { return model->plan().image_floats(); }
size_t EXPORT(outputs)(const Model* model) { return model->plan().outputs; }
size_t EXPORT(layers)(const Model* model) { return model->plan().layers.size(); }
const char* EXPORT(kernel_name)(const Model* model, size_t layer) {
  return model->plan().layers[layer].kernel_name;
}

void EXPORT(run)(Model* model, const float* image, float* outputs) { model->Run(image, outputs); }

void EXPORT(measure)(Model* model, size_t repeats, double* seconds) {
  model->Measure(repeats, seconds);
}
void EXPORT(measure_cold)(Model* model, size_t repeats, double* seconds) {
  model->MeasureCold(repeats, seconds);
}

}  // extern "C"
