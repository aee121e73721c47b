// What an operator applies to its result.
#pragma once

#include <cstdint>
#include <limits>

namespace sparsenas {

// The numbers are part of the model file format.
enum class Activation : uint8_t {
  kNone = 0,
  kRelu = 1,         // max(x, 0)
  kRelu6 = 2,        // min(max(x, 0), 6)
  kHardSwish = 3,    // x * min(max(x + 3, 0), 6) / 6
  kSwish = 4,        // x / (1 + exp(-x))
  kSigmoid = 5,      // 1 / (1 + exp(-x))
  kHardSigmoid = 6,  // min(max(x + 3, 0), 6) / 6
};

// An activation as kernels take it (kernels/finish.h): those that are a clamp as its ends, with
// `curve` kNone; others as `curve`, with `low` and `high` infinite.
struct ActivationArgs {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  Activation curve = Activation::kNone;
};

constexpr ActivationArgs ActivationOf(Activation activation) {
  ActivationArgs args;
  switch (activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      args.low = 0.0f;
      break;
    case Activation::kRelu6:
      args.low = 0.0f;
      args.high = 6.0f;
      break;
    default:
      args.curve = activation;
      break;
  }
  return args;
}

// x -> min(max(x, low), high).
struct Clamp {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

constexpr Clamp ClampOf(Activation activation) {
  return {ActivationOf(activation).low, ActivationOf(activation).high};
}

}  // namespace sparsenas
