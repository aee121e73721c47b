#include "python/primitives.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "primitives/batch_norm.h"
#include "primitives/convolution.h"
#include "primitives/depthwise.h"
#include "primitives/pointwise.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace sparsenas {
namespace {

// The threads of XLA, which computes everything else with them: as many as it was told to use.
class Pool : public Executor {
 public:
  explicit Pool(ffi::ThreadPool pool) : pool_(pool) {}

  void Run(size_t count, const std::function<void(size_t)>& work) override {
    const int64_t threads = pool_.num_threads();
    if (threads <= 1 || count <= 1) return Alone().Run(count, work);
    // A task may start after all work is done, and this function has returned.
    const auto shared = std::make_shared<Shared>();
    shared->count = count;
    shared->work = &work;
    for (size_t i = 1; i < std::min(count, static_cast<size_t>(threads)); ++i)
      pool_.Schedule([shared] { shared->Take(); });
    shared->Take();
    // Whoever computes the last parts is at it: nothing here waits for a task that has not started,
    // as all threads of the pool may be waiting likewise.
    for (size_t spins = 0; shared->done.load(std::memory_order_acquire) != count; ++spins)
      if (spins > 4096) std::this_thread::yield();
    if (shared->error) std::rethrow_exception(shared->error);
  }

 private:
  struct Shared {
    size_t count = 0;
    const std::function<void(size_t)>* work = nullptr;
    std::atomic<size_t> next{0}, done{0};
    std::mutex mutex;
    std::exception_ptr error;

    void Take() {
      for (size_t i; (i = next.fetch_add(1)) < count; done.fetch_add(1)) {
        try {
          (*work)(i);
        } catch (...) {
          const std::lock_guard<std::mutex> lock(mutex);
          error = std::current_exception();
        }
      }
    }
  };

  ffi::ThreadPool pool_;
};

// An array of a call: `rank` dimensions of its own, behind those that vmap has put before them,
// each of which is 1 where the array has not got it.
struct Stack {
  float* data;
  size_t rank;
  std::vector<size_t> outer, dims;

  Stack(const ffi::Buffer<ffi::F32>& buffer, size_t rank) : data(buffer.typed_data()), rank(rank) {
    const auto all = buffer.dimensions();
    if (all.size() < rank) {
      throw std::invalid_argument("Expected an array of at least " + std::to_string(rank) +
                                  " dimensions, found " + std::to_string(all.size()) + ".");
    }
    outer.assign(all.begin(), all.end() - static_cast<ptrdiff_t>(rank));
    dims.assign(all.end() - static_cast<ptrdiff_t>(rank), all.end());
  }

  // The array for the `i`th of all results, which are stacked `like` this.
  float* At(size_t i, const Stack& like) const {
    size_t offset = 0, step = 1;
    for (const size_t size : dims) step *= size;
    for (size_t k = outer.size(); k-- > 0;) {
      offset += outer[k] == 1 ? 0 : i % like.outer[k] * step;
      step *= outer[k];
      i /= like.outer[k];
    }
    return data + offset;
  }
};

struct Call {
  std::vector<Stack> args, results;

  Call(ffi::RemainingArgs given, ffi::RemainingRets wanted, std::initializer_list<size_t> arg_ranks,
       std::initializer_list<size_t> result_ranks) {
    if (given.size() != arg_ranks.size() || wanted.size() != result_ranks.size())
      throw std::invalid_argument("Expected another number of arrays.");
    for (const size_t rank : arg_ranks) {
      const auto buffer = given.get<ffi::Buffer<ffi::F32>>(args.size());
      if (buffer.has_error()) throw std::invalid_argument(buffer.error().message());
      args.emplace_back(*buffer, rank);
    }
    for (const size_t rank : result_ranks) {
      auto buffer = wanted.get<ffi::Buffer<ffi::F32>>(results.size());
      if (buffer.has_error()) throw std::invalid_argument(buffer.error().message());
      results.emplace_back(**buffer, rank);
    }
  }

  // How often the primitive is computed.
  size_t count() const {
    size_t count = 1;
    for (const size_t size : results[0].outer) count *= size;
    return count;
  }
  const float* In(size_t arg, size_t i) const { return args[arg].At(i, results[0]); }
  float* Out(size_t result, size_t i) const { return results[result].At(i, results[0]); }
};

// Errors as XLA wants them, which raises them in Python.
template <class Work>
ffi::Error Guarded(const Work& work) {
  try {
    work(BestPrimitives(DefaultIsa()));
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::Internal(error.what());
  }
}

WindowShape WindowOf(const std::vector<size_t>& x, size_t kernel, int64_t stride) {
  if (stride < 1 || kernel % 2 == 0 || kernel > kMostTaps) {
    throw std::invalid_argument("Expected a stride of at least 1 and an odd kernel of at most " +
                                std::to_string(kMostTaps) + ", found " + std::to_string(stride) +
                                " and " + std::to_string(kernel) + ".");
  }
  return {x[1], x[2], x[3], kernel, static_cast<size_t>(stride)};
}

// Calls work(i, filter) for every weight of a stack.
template <class Work>
void ForDepthwise(const Primitives& primitives, const Call& call, int64_t stride,
                  const Work& work) {
  const Stack &x = call.args[0], &kernel = call.args[1];
  const WindowShape shape = WindowOf(x.dims, kernel.dims[0], stride);
  for (size_t i = 0; i < call.count(); ++i)
    work(i, DepthwiseFilter(primitives, x.dims[0], shape, call.In(1, i)));
}

template <class Work>
void ForPointwise(const Primitives& primitives, const Call& call, const Work& work) {
  const Stack &x = call.args[0], &weight = call.args[1];
  for (size_t i = 0; i < call.count(); ++i) {
    work(i, PointwiseFilter(primitives, x.dims[0] * x.dims[1] * x.dims[2], weight.dims[0],
                            weight.dims[1], call.In(1, i)));
  }
}

auto Binding() { return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().RemainingArgs().RemainingRets(); }

BatchNormShape ShapeOf(const Stack& x, int64_t activation, float epsilon) {
  return {x.dims[0] * x.dims[1] * x.dims[2], x.dims[3], static_cast<NormActivation>(activation),
          epsilon};
}

ffi::Error DepthwiseCall(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets rets,
                         int64_t stride) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 3}, {4});
    ForDepthwise(primitives, call, stride, [&](size_t i, const Filter& filter) {
      Apply(filter, call.In(0, i), call.Out(0, i), pool);
    });
  });
}
XLA_FFI_DEFINE_HANDLER(kDepthwise, DepthwiseCall, Binding().Attr<int64_t>("stride"));

ffi::Error DepthwiseGradientsCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                  ffi::RemainingRets rets, int64_t stride) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 3, 4}, {4, 3});
    ForDepthwise(primitives, call, stride, [&](size_t i, const Filter& filter) {
      ApplyGradients(filter, call.In(0, i), call.In(2, i), call.Out(0, i), call.Out(1, i), pool);
    });
  });
}
XLA_FFI_DEFINE_HANDLER(kDepthwiseGradients, DepthwiseGradientsCall,
                       Binding().Attr<int64_t>("stride"));

ffi::Error PointwiseCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                         ffi::RemainingRets rets) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 2}, {4});
    ForPointwise(primitives, call, [&](size_t i, const Filter& filter) {
      Apply(filter, call.In(0, i), call.Out(0, i), pool);
    });
  });
}
XLA_FFI_DEFINE_HANDLER(kPointwise, PointwiseCall, Binding());

ffi::Error PointwiseGradientsCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                  ffi::RemainingRets rets) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 2, 4}, {4, 2});
    ForPointwise(primitives, call, [&](size_t i, const Filter& filter) {
      ApplyGradients(filter, call.In(0, i), call.In(2, i), call.Out(0, i), call.Out(1, i), pool);
    });
  });
}
XLA_FFI_DEFINE_HANDLER(kPointwiseGradients, PointwiseGradientsCall, Binding());

// x, kernel -> y
ffi::Error ConvolutionCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                           ffi::RemainingRets rets, int64_t stride) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 4}, {4});
    const Stack &x = call.args[0], &kernel = call.args[1];
    const WindowShape shape = WindowOf(x.dims, kernel.dims[0], stride);
    for (size_t i = 0; i < call.count(); ++i) {
      const ConvolutionFilter filter(primitives, x.dims[0], shape, kernel.dims[3], call.In(1, i));
      Apply(filter, call.In(0, i), call.Out(0, i), pool);
    }
  });
}
XLA_FFI_DEFINE_HANDLER(kConvolution, ConvolutionCall, Binding().Attr<int64_t>("stride"));

// g, kernel -> the gradient by x
ffi::Error ConvolutionInputCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                ffi::RemainingRets rets, int64_t stride) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 4}, {4});
    const Stack &x = call.results[0], &kernel = call.args[1];
    const WindowShape shape = WindowOf(x.dims, kernel.dims[0], stride);
    for (size_t i = 0; i < call.count(); ++i) {
      const ConvolutionFilter filter(primitives, x.dims[0], shape, kernel.dims[3], call.In(1, i));
      ApplyInputGradient(filter, call.In(0, i), call.Out(0, i), pool);
    }
  });
}
XLA_FFI_DEFINE_HANDLER(kConvolutionInput, ConvolutionInputCall, Binding().Attr<int64_t>("stride"));

// x, g -> the gradient by the kernel
ffi::Error ConvolutionKernelCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                 ffi::RemainingRets rets, int64_t stride) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 4}, {4});
    const Stack &x = call.args[0], &kernel = call.results[0];
    const WindowShape shape = WindowOf(x.dims, kernel.dims[0], stride);
    const ConvolutionFilter filter(primitives, x.dims[0], shape, kernel.dims[3], nullptr);
    for (size_t i = 0; i < call.count(); ++i)
      ApplyWeightGradient(filter, call.In(0, i), call.In(1, i), call.Out(0, i), pool);
  });
}
XLA_FFI_DEFINE_HANDLER(kConvolutionKernel, ConvolutionKernelCall,
                       Binding().Attr<int64_t>("stride"));

ffi::Error BatchNormCall(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets rets,
                         int64_t activation, float epsilon) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 1, 1}, {4, 1, 1});
    const BatchNormShape shape = ShapeOf(call.args[0], activation, epsilon);
    for (size_t i = 0; i < call.count(); ++i)
      BatchNorm(primitives, shape, call.In(0, i), call.In(1, i), call.In(2, i), call.Out(0, i),
                call.Out(1, i), call.Out(2, i), pool);
  });
}
XLA_FFI_DEFINE_HANDLER(kBatchNorm, BatchNormCall,
                       Binding().Attr<int64_t>("activation").Attr<float>("epsilon"));

ffi::Error BatchNormGradientsCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                  ffi::RemainingRets rets, int64_t activation, float epsilon) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, 4, 1, 1, 1, 1, 1, 1}, {4, 1, 1});
    const BatchNormShape shape = ShapeOf(call.args[0], activation, epsilon);
    for (size_t i = 0; i < call.count(); ++i) {
      BatchNormGradients(
          primitives, shape,
          {call.In(0, i), call.In(1, i), call.In(2, i), call.In(3, i), call.In(4, i), call.In(5, i),
           call.In(6, i), call.In(7, i), call.Out(0, i), call.Out(1, i), call.Out(2, i)},
          pool);
    }
  });
}
XLA_FFI_DEFINE_HANDLER(kBatchNormGradients, BatchNormGradientsCall,
                       Binding().Attr<int64_t>("activation").Attr<float>("epsilon"));

// Both with normalisation: x, weight, scale, offset -> y, z, mean, variance.
ffi::Error FilterNormCall(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets rets,
                          int64_t stride, int64_t activation, float epsilon, bool depthwise) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const Call call(args, rets, {4, depthwise ? size_t{3} : size_t{2}, 1, 1}, {4, 4, 1, 1});
    const BatchNormShape shape = ShapeOf(call.results[0], activation, epsilon);
    const auto work = [&](size_t i, const Filter& filter) {
      ApplyNorm(primitives, filter, shape,
                {call.In(0, i), call.In(2, i), call.In(3, i), call.Out(0, i), call.Out(1, i),
                 call.Out(2, i), call.Out(3, i)},
                pool);
    };
    if (depthwise) return ForDepthwise(primitives, call, stride, work);
    ForPointwise(primitives, call, work);
  });
}
XLA_FFI_DEFINE_HANDLER(kFilterNorm, FilterNormCall,
                       Binding()
                           .Attr<int64_t>("stride")
                           .Attr<int64_t>("activation")
                           .Attr<float>("epsilon")
                           .Attr<bool>("depthwise"));

// x, weight, z, g, scale, offset, mean, variance, g_mean, g_variance -> the gradients of the first
// two and of scale and offset.
ffi::Error FilterNormGradientsCall(ffi::ThreadPool threads, ffi::RemainingArgs args,
                                   ffi::RemainingRets rets, int64_t stride, int64_t activation,
                                   float epsilon, bool depthwise) {
  return Guarded([&](const Primitives& primitives) {
    Pool pool(threads);
    const size_t rank = depthwise ? 3 : 2;
    const Call call(args, rets, {4, rank, 4, 4, 1, 1, 1, 1, 1, 1}, {4, rank, 1, 1});
    const BatchNormShape shape = ShapeOf(call.args[2], activation, epsilon);
    const auto work = [&](size_t i, const Filter& filter) {
      ApplyNormGradients(
          primitives, filter, shape,
          {{call.In(2, i), call.In(3, i), call.In(4, i), call.In(5, i), call.In(6, i),
            call.In(7, i), call.In(8, i), call.In(9, i), nullptr, call.Out(2, i), call.Out(3, i)},
           call.In(0, i),
           call.Out(0, i),
           call.Out(1, i)},
          pool);
    };
    if (depthwise) return ForDepthwise(primitives, call, stride, work);
    ForPointwise(primitives, call, work);
  });
}
XLA_FFI_DEFINE_HANDLER(kFilterNormGradients, FilterNormGradientsCall,
                       Binding()
                           .Attr<int64_t>("stride")
                           .Attr<int64_t>("activation")
                           .Attr<float>("epsilon")
                           .Attr<bool>("depthwise"));

}  // namespace

pybind11::dict PrimitiveCapsules() {
  pybind11::dict capsules;
  const auto add = [&](const char* name, XLA_FFI_Handler* handler) {
    capsules[name] = pybind11::capsule(reinterpret_cast<void*>(handler));
  };
  add("depthwise", kDepthwise);
  add("depthwise_gradients", kDepthwiseGradients);
  add("pointwise", kPointwise);
  add("pointwise_gradients", kPointwiseGradients);
  add("convolution", kConvolution);
  add("convolution_input", kConvolutionInput);
  add("convolution_kernel", kConvolutionKernel);
  add("batch_norm", kBatchNorm);
  add("batch_norm_gradients", kBatchNormGradients);
  add("filter_norm", kFilterNorm);
  add("filter_norm_gradients", kFilterNormGradients);
  return capsules;
}

}  // namespace sparsenas
