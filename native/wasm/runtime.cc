// The runtime as functions for JavaScript (sparsenas.mjs calls them).
//
// SPARSENAS_ONLY_SCALAR makes a module for engines without SIMD, which is linked with scalar
// kernels alone.
#include <cstdlib>

#include "base/arch.h"
#include "base/build_id.h"
#include "base/peak.h"
#include "model/model.h"

using namespace sparsenas;

#if defined(SPARSENAS_ONLY_SCALAR)
static Isa BestIsa() { return Isa::kScalar; }
#else
static Isa BestIsa() { return DefaultIsa(); }
#endif

#define EXPORT(name) __attribute__((export_name(#name))) name

extern "C" {

void* EXPORT(allocate)(size_t bytes) { return std::malloc(bytes); }
void EXPORT(release)(void* memory) { std::free(memory); }

const char* EXPORT(isa)() { return IsaName(BestIsa()); }
const char* EXPORT(build_id)() { return BuildId(); }
double EXPORT(peak_gflops)() { return MeasurePeakGflops(BestIsa()); }

// Copies the bytes of a model file.
Model* EXPORT(open_model)(const void* bytes, size_t size) {
  return new Model(Model::FromBytes(bytes, size, "bytes", BestIsa()));
}
void EXPORT(close_model)(Model* model) { delete model; }

size_t EXPORT(image_floats)(const Model* model) { return model->plan().image_floats(); }
size_t EXPORT(outputs)(const Model* model) { return model->plan().outputs; }
size_t EXPORT(layers)(const Model* model) { return model->plan().layers.size(); }
const char* EXPORT(kernel_name)(const Model* model, size_t layer) {
  return model->plan().layers[layer].kernel_name;
}
const char* EXPORT(layer_name)(const Model* model, size_t layer) {
  return model->plan().layers[layer].name.c_str();
}
// Pixels are those of the input; weights are none for operators without.
uint32_t EXPORT(layer_c_in)(const Model* model, size_t layer) {
  return model->plan().layers[layer].c_in;
}
uint32_t EXPORT(layer_c_out)(const Model* model, size_t layer) {
  return model->plan().layers[layer].c_out;
}
uint32_t EXPORT(layer_height)(const Model* model, size_t layer) {
  return model->plan().layers[layer].height;
}
uint32_t EXPORT(layer_width)(const Model* model, size_t layer) {
  return model->plan().layers[layer].width;
}
double EXPORT(layer_weights)(const Model* model, size_t layer) {
  return double(model->plan().layers[layer].dense_weights());
}
double EXPORT(layer_nonzeros)(const Model* model, size_t layer) {
  return double(model->plan().layers[layer].nonzeros);
}

uint32_t EXPORT(image_height)(const Model* model) { return model->plan().height; }
uint32_t EXPORT(image_width)(const Model* model) { return model->plan().width; }
uint32_t EXPORT(image_channels)(const Model* model) { return model->plan().channels; }
// 1 where an image lies channel by channel.
uint32_t EXPORT(channels_first)(const Model* model) {
  return model->plan().input_layout == InputLayout::kChw;
}
size_t EXPORT(classes)(const Model* model) { return model->plan().classes.size(); }
const char* EXPORT(class_name)(const Model* model, size_t output) {
  return model->plan().classes[output].c_str();
}

void EXPORT(run)(Model* model, const float* image, float* outputs) { model->Run(image, outputs); }

void EXPORT(measure)(Model* model, size_t repeats, double* seconds) {
  model->Measure(repeats, seconds);
}
void EXPORT(measure_cold)(Model* model, size_t repeats, double* seconds) {
  model->MeasureCold(repeats, seconds);
}

// Writes the seconds of every layer: [repeats, layers].
void EXPORT(profile)(Model* model, size_t repeats, double* seconds) {
  model->Profile(repeats, seconds);
}

}  // extern "C"
