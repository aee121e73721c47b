// The section of a model file that says how its network runs fastest on one machine, with its
// weights packed for that; docs/format.md describes it byte by byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/arch.h"
#include "model/form.h"
#include "model/format.h"
#include "model/weight_rows.h"

namespace sparsenas {

struct Plan;

// Microseconds of a layer in each form, 0 where it was not tried.
using FormTimes = std::array<float, kForms>;

struct TunedPart {
  Rows rows;       // Output channels.
  size_t numbers;  // Offset in the file of what PackedReader reads.
};

struct TunedLayer {
  Form form;
  bool by_pixels;
  FormTimes us;
  std::vector<TunedPart> parts;  // One where parts share pixels.
};

struct Tuning {
  size_t threads;
  uint64_t l1_bytes, l2_bytes;
  std::string isa, build, cpu;
  std::vector<TunedLayer> layers;
};

// What of it may be used.
enum class TuningUse {
  kNothing,  // Of another machine.
  kForms,    // Other kernels, caches as another kernel's packing sees them, or threads.
  kWeights,
};

// Reads the section, if there is one, and checks all but the packed weights, which are checked when
// they are used. Fails with one line that names file, offset, expected and found.
std::optional<Tuning> ReadTuning(const ModelView& model);

TuningUse UseOf(const Tuning& tuning, Isa isa, size_t threads);

// For people: "tuned for this machine", or why it is not used.
std::string Describe(const Tuning& tuning, TuningUse use);

// Why a form was chosen that was measured: "4x1: measured 12.1 us, dense 40.3 us". Empty where no
// other was tried.
std::string MeasuredNote(Form form, const FormTimes& us);

// The model's file with the plan as its tuning section, in place of the one it may have.
// `us` are of each layer.
std::vector<uint8_t> TunedFile(const ModelView& model, const Plan& plan,
                               const std::vector<FormTimes>& us);

}  // namespace sparsenas
