#include "model/step.h"

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "kernels/add/add.h"
#include "kernels/average_pool/average_pool.h"
#include "kernels/conv1x1/conv1x1.h"
#include "kernels/conv_dense/conv_dense.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/fully_connected/fully_connected.h"
#include "kernels/global_average_pool/global_average_pool.h"
#include "kernels/max_pool/max_pool.h"
#include "kernels/multiply/multiply.h"

namespace sparsenas {
namespace {

// Threads meet at the end of each layer, which takes them about a microsecond; so many
// multiply-adds or floats moved take ten.
constexpr double kLeastWorkToShare = 1 << 19;

bool Mixes(const LayerView& layer) {
  return layer.op == Op::kConv1x1 || layer.op == Op::kFullyConnected || layer.op == Op::kConv;
}

// Multiply-adds of one image, or floats read and written where those are more.
double Work(const LayerView& layer) {
  const double in = double(layer.c_in) * layer.height * layer.width;
  const double pixels = double(layer.out_height) * layer.out_width;
  return std::max(double(layer.nonzeros) * pixels, in + layer.c_out * pixels);
}

// Output channels that kernels compute together: parts begin at multiples.
size_t Group(const LayerView& layer, Form form) {
  if (layer.op == Op::kConvHwc) return kConvHwcGroup;
  if (layer.op == Op::kConv1x1 && form == Form::kDense) return kConv1x1Group;
  if (layer.op == Op::kConv && form == Form::kDense) return kConvDenseGroup;
  if (layer.op == Op::kFullyConnected) return kFullyConnectedGroup;
  return Mixes(layer) ? 4 : 1;  // Of blocks.
}

// Cuts the output channels into parts of about the same work.
std::vector<Rows> Split(const LayerView& layer, Form form, const WeightRows* weights,
                        size_t threads) {
  const size_t rows = layer.c_out, group = Group(layer, form);
  const size_t parts = std::min(threads, CeilDiv(rows, group));
  if (parts == 1 || Work(layer) < kLeastWorkToShare) return {{0, rows}};
  std::vector<Rows> split;
  if (form == Form::kDense) {
    for (size_t i = 0; i < parts; ++i) {
      const size_t groups = CeilDiv(rows, group);
      split.push_back(
          {groups * i / parts * group, std::min(rows, groups * (i + 1) / parts * group)});
    }
    return split;
  }
  // A row costs about as much as some nonzeros, see FormCost.
  const auto work = [&](size_t end) { return double(weights->nonzeros({0, end})) + 2.0 * end; };
  const double total = work(rows);
  size_t begin = 0;
  for (size_t i = 1; i <= parts && begin < rows; ++i) {
    size_t end = begin;
    while (end < rows && (i == parts || work(end) < total * double(i) / double(parts)))
      end = std::min(rows, end + group);
    if (end > begin) split.push_back({begin, end});
    begin = end;
  }
  return split;
}

// Where one part of a layer reads and writes.
struct Place {
  size_t in, second_in, out, scratch;
};

class StepMaker {
 public:
  StepMaker(const ModelView& model, const LayerView& layer, const Decision& decision,
            const Operands& operands, Isa isa)
      : model_(model), layer_(layer), decision_(decision), operands_(operands), isa_(isa) {}

  PlannedStep Make() {
    for (size_t i = 0; i < decision_.parts.size(); ++i) MakePart(i);
    return std::move(step_);
  }

 private:
  void MakePart(size_t i) {
    rows_ = decision_.parts[i];
    share_ = i;
    place_ = {};
    place_.out = operands_.out.offset + rows_.begin * operands_.out.stride;
    if (layer_.op != Op::kConvHwc) place_.in = operands_.in[0].offset;
    if (decision_.by_pixels && layer_.op == Op::kConv1x1) {
      place_.in += SharedPixels().begin;
      place_.out += SharedPixels().begin;
    }
    if (!Mixes(layer_) && layer_.op != Op::kConvHwc) {
      // An output channel reads its own input channel alone.
      place_.in += rows_.begin * operands_.in[0].stride;
      if (operands_.in.size() > 1)
        place_.second_in = operands_.in[1].offset + rows_.begin * operands_.in[1].stride;
    }
    if (!operands_.scratch.empty()) place_.scratch = operands_.scratch[i];
    switch (layer_.op) {
      case Op::kConvHwc:
        return ConvHwc();
      case Op::kConv1x1:
        return Conv1x1();
      case Op::kDepthwise:
        return Depthwise();
      case Op::kAdd:
        return Add();
      case Op::kGlobalAveragePool:
        return GlobalAveragePool();
      case Op::kFullyConnected:
        return FullyConnected();
      case Op::kConv:
        return Conv();
      case Op::kMaxPool:
        return Pool(BestMaxPool(isa_));
      case Op::kAveragePool:
        return Pool(BestAveragePool(isa_));
      case Op::kMultiply:
        return Multiply();
    }
    Fail("Layer '%s' (%s) has no kernel.", layer_.name.c_str(), Name(layer_.op));
  }

  // The pixels of this part, whole cache lines of them.
  Rows SharedPixels() const {
    const size_t pixels = operands_.out.pixels();
    if (!decision_.by_pixels) return {0, pixels};
    const size_t lines = CeilDiv(pixels, kStrideFloats), shares = decision_.parts.size();
    return {lines * share_ / shares * kStrideFloats,
            std::min(lines * (share_ + 1) / shares * kStrideFloats, pixels)};
  }

  void ConvHwc() {
    ConvHwcArgs args{};
    args.height = layer_.height;
    args.width = layer_.width;
    args.stride = layer_.stride;
    args.padding = layer_.padding;
    args.out_stride = operands_.out.stride;
    if (decision_.by_pixels) {
      args.share = share_;
      args.shares = decision_.parts.size();
    }
    AddPart(BestConvHwc(isa_),
            Packed<ConvHwcWeights>(
                [&] {
                  return PackConvHwc(FileWeight(), FileBias(), rows_.size(), layer_.c_in,
                                     layer_.kernel);
                },
                [&](const ConvHwcWeights& packed) {
                  return FlawOf(packed, rows_.size(), layer_.c_in, layer_.kernel);
                }),
            args, [](ConvHwcArgs& args, const Place& place, const float* image, float* arena) {
              args.in = image;
              args.out = arena + place.out;
              args.scratch = arena + place.scratch;
            });
  }

  void Conv1x1() {
    const Tensor& in = operands_.in[0];
    if (decision_.choice.form == Form::kDense) {
      Conv1x1DenseArgs args{};
      args.pixels = SharedPixels().size();
      args.in_stride = in.stride;
      args.out_stride = operands_.out.stride;
      return OneToOne(BestConv1x1Dense(isa_),
                      Packed<Conv1x1DenseWeights>(
                          [&] {
                            return PackConv1x1Dense(DenseWeight(), FileBias(), rows_.size(),
                                                    layer_.c_in);
                          },
                          [&](const Conv1x1DenseWeights& packed) {
                            return FlawOf(packed, rows_.size(), layer_.c_in);
                          }),
                      args);
    }
    switch (decision_.choice.form) {
      case Form::kBlock2:
        return Conv1x1Sparse(BestConv1x1Block2(isa_));
      case Form::kBlock4:
        return Conv1x1Sparse(BestConv1x1Block4(isa_));
      default:
        return Conv1x1Sparse(BestConv1x1Unstructured(isa_));
    }
  }

  template <int kRows>
  void Conv1x1Sparse(const Kernel<Conv1x1SparseArgs<kRows>>& kernel) {
    const Tensor& in = operands_.in[0];
    Conv1x1SparseArgs<kRows> args{};
    args.pixels = SharedPixels().size();
    args.out_stride = operands_.out.stride;
    OneToOne(kernel,
             Packed<Conv1x1SparseWeights<kRows>>(
                 [&] {
                   return PackConv1x1Block<kRows>(decision_.weights->Sparse(rows_), FileBias(),
                                                  in.stride, args.pixels, isa_);
                 },
                 [&](const Conv1x1SparseWeights<kRows>& packed) {
                   return FlawOf(packed, rows_.size(), layer_.c_in, in.stride);
                 }),
             args);
  }

  void Conv() {
    switch (decision_.choice.form) {
      case Form::kDense:
        return Windowed(BestConvDense(isa_),
                        Packed<ConvDenseWeights>(
                            [&] {
                              return PackConvDense(DenseWeight(), FileBias(), rows_.size(),
                                                   layer_.c_in, layer_.kernel,
                                                   operands_.out.pixels(), isa_);
                            },
                            [&](const ConvDenseWeights& packed) {
                              return FlawOf(packed, rows_.size(), layer_.c_in, layer_.kernel, isa_);
                            }));
      case Form::kKernel:
        return Windowed(BestConvPattern(isa_),
                        Packed<ConvPatternWeights>(
                            [&] {
                              return PackConvPattern(decision_.weights->Sparse(rows_), FileBias(),
                                                     layer_.height, layer_.width, layer_.stride,
                                                     isa_);
                            },
                            [&](const ConvPatternWeights& packed) {
                              return FlawOf(packed, rows_.size(), layer_.c_in, layer_.height,
                                            layer_.width, layer_.stride, isa_);
                            }));
      default:
        return Windowed(BestConvDirect(isa_),
                        Packed<ConvDirectWeights>(
                            [&] {
                              return PackConvDirect(decision_.weights->Sparse(rows_), FileBias(),
                                                    layer_.kernel, operands_.out.pixels(), isa_);
                            },
                            [&](const ConvDirectWeights& packed) {
                              return FlawOf(packed, rows_.size(), layer_.c_in, layer_.kernel, isa_);
                            }));
    }
  }

  // The weights of this part: those in the file, or packed, or those of the first part where parts
  // share pixels. `flaw` says what is wrong with weights in the file, null where nothing is.
  template <class Weights, class Pack, class Flaw>
  std::shared_ptr<const Weights> Packed(Pack pack, Flaw flaw) {
    if (decision_.by_pixels && share_ > 0) return std::static_pointer_cast<const Weights>(packed_);
    const auto weights = std::make_shared<Weights>();
    if (decision_.stored == nullptr) {
      *weights = pack();
    } else {
      const char* found = PackedReader(model_, Stored()).Read(weights.get());
      if (found == nullptr) found = flaw(*weights);
      if (found != nullptr) RefuseStored(found);
    }
    Keep(weights, FieldsOf(*weights));
    return weights;
  }

  // Where the packed weights of this part are in the file.
  size_t Stored() const { return decision_.stored->parts[share_].numbers; }

  [[noreturn, gnu::noinline]] void RefuseStored(const char* found) const {
    Fail(
        "Model '%s', offset %zu: tuning: layer '%s': expected packed weights that fit it, found "
        "%s; tune the model again.",
        model_.file.c_str(), Stored(), layer_.name.c_str(), found);
  }

  [[gnu::noinline]] void Keep(std::shared_ptr<const void> weights, PackedFields fields) {
    for (const PackedField& field : fields) step_.weight_bytes += field.bytes;
    step_.packed.push_back(std::move(fields));
    packed_ = std::move(weights);
  }

  // Adds a convolution of more than one pixel.
  template <class Args, class Weights>
  void Windowed(const Kernel<Args>& kernel, Weights weights) {
    Args args{};
    args.in.height = layer_.height;
    args.in.width = layer_.width;
    args.in.channels = layer_.c_in;
    args.in.kernel = layer_.kernel;
    args.in.stride = layer_.stride;
    args.in.plane = operands_.in[0].stride;
    args.out_stride = operands_.out.stride;
    if (decision_.by_pixels) {
      args.share = share_;
      args.shares = decision_.parts.size();
    }
    AddPart(kernel, std::move(weights), args,
            [](Args& args, const Place& place, const float*, float* arena) {
              args.in.data = arena + place.in;
              args.out = arena + place.out;
              args.scratch = arena + place.scratch;
            });
  }

  void FullyConnected() {
    const size_t rows = rows_.size(), columns = layer_.columns();
    switch (decision_.choice.form) {
      case Form::kDense:
        return OneToOne(
            BestFullyConnectedDense(isa_),
            Packed<FullyConnectedDenseWeights>(
                [&] { return PackFullyConnectedDense(DenseWeight(), FileBias(), rows, columns); },
                [&](const FullyConnectedDenseWeights& packed) {
                  return FlawOf(packed, rows, columns);
                }),
            FullyConnectedDenseArgs{});
      case Form::kBlock4:
        return OneToOne(BestFullyConnectedBlock4(isa_),
                        Packed<FullyConnectedBlock4Weights>(
                            [&] {
                              return PackFullyConnectedBlock4(decision_.weights->Sparse(rows_),
                                                              FileBias(), isa_);
                            },
                            [&](const FullyConnectedBlock4Weights& packed) {
                              return FlawOf(packed, rows, columns, isa_);
                            }),
                        FullyConnectedBlock4Args{});
      case Form::kTwoOfFour:
        return OneToOne(BestFullyConnectedTwoOfFour(isa_),
                        Packed<FullyConnectedTwoOfFourWeights>(
                            [&] {
                              return PackFullyConnectedTwoOfFour(decision_.weights->Sparse(rows_),
                                                                 FileBias());
                            },
                            [&](const FullyConnectedTwoOfFourWeights& packed) {
                              return FlawOf(packed, rows, columns);
                            }),
                        FullyConnectedTwoOfFourArgs{});
      default:
        return OneToOne(BestFullyConnectedUnstructured(isa_),
                        Packed<FullyConnectedUnstructuredWeights>(
                            [&] {
                              return PackFullyConnectedUnstructured(
                                  decision_.weights->Sparse(rows_), FileBias(), isa_);
                            },
                            [&](const FullyConnectedUnstructuredWeights& packed) {
                              return FlawOf(packed, rows, columns, isa_);
                            }),
                        FullyConnectedUnstructuredArgs{});
    }
  }

  void Depthwise() {
    DepthwiseArgs args{};
    args.height = layer_.height;
    args.width = layer_.width;
    args.stride = layer_.stride;
    args.in_stride = operands_.in[0].stride;
    args.out_stride = operands_.out.stride;
    OneToOne(
        BestDepthwise(isa_),
        Packed<DepthwiseWeights>(
            [&] { return PackDepthwise(FileWeight(), FileBias(), rows_.size(), layer_.kernel); },
            [&](const DepthwiseWeights& packed) {
              return FlawOf(packed, rows_.size(), layer_.kernel);
            }),
        args);
  }

  void GlobalAveragePool() {
    GlobalAveragePoolArgs args{};
    args.channels = rows_.size();
    args.pixels = operands_.in[0].pixels();
    args.in_stride = operands_.in[0].stride;
    args.out_stride = operands_.out.stride;
    OneToOne(BestGlobalAveragePool(isa_), Nothing(), args);
  }

  void Add() {
    AddArgs args{};
    args.channels = rows_.size();
    args.pixels = operands_.out.pixels();
    args.a_stride = operands_.in[0].stride;
    args.b_stride = operands_.in[1].stride;
    args.out_stride = operands_.out.stride;
    TwoToOne(BestAdd(isa_), args);
  }

  void Multiply() {
    MultiplyArgs args{};
    args.channels = rows_.size();
    args.pixels = operands_.out.pixels();
    args.b_pixels = operands_.in[1].pixels();
    args.a_stride = operands_.in[0].stride;
    args.b_stride = operands_.in[1].stride;
    args.out_stride = operands_.out.stride;
    TwoToOne(BestMultiply(isa_), args);
  }

  void Pool(const Kernel<PoolArgs>& kernel) {
    PoolArgs args{};
    args.kernel = layer_.kernel;
    args.stride = layer_.stride;
    args.padding = layer_.padding;
    args.channels = rows_.size();
    args.height = layer_.height;
    args.width = layer_.width;
    args.in_stride = operands_.in[0].stride;
    args.out_stride = operands_.out.stride;
    OneToOne(kernel, Nothing(), args);
  }

  // What an operator without weights packs.
  struct NoWeights {
    template <class Args>
    void Fill(Args&) const {}
    template <class Self>
    static auto Fields(Self&) {
      return std::tie();
    }
  };
  std::shared_ptr<const NoWeights> Nothing() {
    return Packed<NoWeights>([] { return NoWeights(); },
                             [](const NoWeights&) -> const char* { return nullptr; });
  }

  // For weights as they are in the file, output channels outermost.
  const float* FileWeight() const { return layer_.weight + rows_.begin * layer_.columns(); }
  const float* FileBias() const { return layer_.bias + rows_.begin; }

  // The rows of a mixing layer with their zeros.
  const float* DenseWeight() {
    if (layer_.pattern == Pattern::kDense) return FileWeight();
    dense_ = decision_.weights->Dense(rows_);
    return dense_.data();
  }

  // Adds a kernel whose only changing arguments are one tensor in and one out.
  template <class Args, class Weights>
  void OneToOne(const Kernel<Args>& kernel, Weights weights, Args args) {
    AddPart(kernel, std::move(weights), args,
            [](Args& args, const Place& place, const float*, float* arena) {
              args.in = arena + place.in;
              args.out = arena + place.out;
            });
  }

  // Likewise with two tensors in.
  template <class Args>
  void TwoToOne(const Kernel<Args>& kernel, Args args) {
    AddPart(kernel, Nothing(), args,
            [](Args& args, const Place& place, const float*, float* arena) {
              args.a = arena + place.in;
              args.b = arena + place.second_in;
              args.out = arena + place.out;
            });
  }

  // Adds a kernel with its packed weights. `point` sets the arguments that are pointers.
  template <class Args, class Weights, class Point>
  void AddPart(const Kernel<Args>& kernel, std::shared_ptr<const Weights> held, Args args,
               Point point) {
    struct Call {
      std::shared_ptr<const void> held;
      Args args;
      Place place;
      void (*kernel)(const Args&);
      Point point;
    };
    held->Fill(args);
    args.activation = ActivationOf(layer_.activation);
    step_.kernel_name = kernel.name;
    const auto run = [](void* with, const float* image, float* arena) {
      Call& call = *static_cast<Call*>(with);
      call.point(call.args, call.place, image, arena);
      call.kernel(call.args);
    };
    step_.parts.emplace_back(
        run, std::make_shared<Call>(Call{std::move(held), args, place_, kernel.run, point}));
  }

  const ModelView& model_;
  const LayerView& layer_;
  const Decision& decision_;
  const Operands& operands_;
  const Isa isa_;
  std::vector<float> dense_;  // Weights of the part being made, where the file has not its zeros.
  PlannedStep step_;
  std::shared_ptr<const void> packed_;  // The weights packed last.
  Rows rows_{};                         // Of the part being made.
  size_t share_ = 0;                    // Its number.
  Place place_{};                       // Likewise.
};

std::string NoteOf(const LayerView& layer, const TunedLayer& tuned, Isa isa) {
  if (!Mixes(layer)) return "";
  const std::string note = MeasuredNote(tuned.form, tuned.us);
  return note.empty() && tuned.form == Form::kDense ? ChooseDense(layer, isa).note : note;
}

}  // namespace

// Each then fills panels or pads rows for its own pixels alone, which with channels all do for all
// pixels: two threads are 1.7 to 1.95 times as fast as one in 3x3 convolutions of 56x56 and 28x28
// pixels instead of 1.4 to 1.8, and 1.75 to 1.98 times instead of 1.5 to 1.95 in 1x1 of 20 MFLOP
// and more. A few vectors of pixels do not come out even and make narrow tiles: at 14x14 and 7x7,
// channels give 1.7 to 2, pixels 1.5 to 1.85.
bool SharesPixels(const LayerView& layer, size_t threads) {
  constexpr size_t kLeastPixels = 256;  // Of each thread.
  return (layer.op == Op::kConv || layer.op == Op::kConv1x1 || layer.op == Op::kConvHwc) &&
         size_t{layer.out_height} * layer.out_width >= kLeastPixels * threads;
}

Decision Decide(const LayerView& layer, Isa isa, size_t threads) {
  if (!Mixes(layer)) return DecideAs(layer, {Form::kDense, ""}, nullptr, threads);
  if (!MayBeSparse(layer)) return DecideAs(layer, ChooseDense(layer, isa), nullptr, threads);
  auto weights = std::make_shared<const WeightRows>(layer);
  FormChoice choice = ChooseForm(layer, *weights, isa);
  return DecideAs(layer, std::move(choice), std::move(weights), threads);
}

Decision DecideAs(const LayerView& layer, FormChoice choice,
                  std::shared_ptr<const WeightRows> weights, size_t threads) {
  Decision decision;
  decision.choice = std::move(choice);
  decision.weights = std::move(weights);
  decision.parts = Split(layer, decision.choice.form, decision.weights.get(), threads);
  if (decision.parts.size() > 1 && SharesPixels(layer, threads)) {
    decision.by_pixels = true;
    decision.parts.assign(threads, {0, layer.c_out});
  }
  return decision;
}

Decision DecideAsTuned(const ModelView& model, const LayerView& layer, const TunedLayer& tuned,
                       Isa isa, size_t threads) {
  FormChoice choice{tuned.form, NoteOf(layer, tuned, isa)};
  const bool looks = tuned.form != Form::kDense || layer.pattern != Pattern::kDense;
  if (!looks) return DecideAs(layer, std::move(choice), nullptr, threads);
  auto weights = std::make_shared<const WeightRows>(layer);
  if (!ZerosAllow(layer, *weights, tuned.form))
    Fail(
        "Model '%s': tuning: layer '%s': expected a form that its zeros allow, found %s; tune the "
        "model again.",
        model.file.c_str(), layer.name.c_str(), Name(tuned.form));
  return DecideAs(layer, std::move(choice), std::move(weights), threads);
}

Decision DecideAsStored(const LayerView& layer, const TunedLayer& tuned, Isa isa, size_t threads) {
  Decision decision;
  decision.choice = {tuned.form, NoteOf(layer, tuned, isa)};
  decision.stored = &tuned;
  decision.by_pixels = tuned.by_pixels;
  for (const TunedPart& part : tuned.parts) decision.parts.push_back(part.rows);
  if (tuned.by_pixels) decision.parts.assign(threads, {0, layer.c_out});
  return decision;
}

size_t ScratchFloats(const LayerView& layer, Form form) {
  if (layer.op == Op::kConvHwc)
    return ConvHwcScratchFloats(layer.width, layer.c_in, layer.kernel, layer.stride, layer.padding);
  if (layer.op != Op::kConv) return 0;
  switch (form) {
    case Form::kDense:
      return ConvDenseScratchFloats(layer.height, layer.width, layer.c_in, layer.kernel,
                                    layer.stride);
    case Form::kKernel:
      return ConvPatternScratchFloats(layer.height, layer.width, layer.c_in, layer.c_out,
                                      layer.stride);
    default:
      return ConvDirectScratchFloats(layer.height, layer.width, layer.c_in, layer.kernel,
                                     layer.stride);
  }
}

PlannedStep PlanStep(const ModelView& model, const LayerView& layer, const Decision& decision,
                     const Operands& operands, Isa isa) {
  return StepMaker(model, layer, decision, operands, isa).Make();
}

}  // namespace sparsenas
