// The module `_native`. sparsenas/native.py gives it types, shapes and errors for people.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/arch.h"
#include "base/build_id.h"
#include "base/peak.h"
#include "model/model.h"
#include "model/tune.h"
#include "python/primitives.h"

namespace py = pybind11;

namespace sparsenas {
namespace {

Isa IsaOf(const std::optional<std::string>& name) { return name ? ParseIsa(*name) : DefaultIsa(); }

// A model that several Python threads may hold: its runs take turns.
class SharedModel {
 public:
  explicit SharedModel(Model model) : model_(std::move(model)) {}

  const Plan& plan() const { return model_.plan(); }

  py::array_t<float> Run(const py::array_t<float, py::array::c_style>& images) {
    const size_t floats = plan().image_floats();
    if (images.ndim() != 4 || size_t(images.size()) != size_t(images.shape(0)) * floats) {
      throw std::invalid_argument("`images` must be [N, ...] with " + std::to_string(floats) +
                                  " numbers for each image.");
    }
    const size_t n = size_t(images.shape(0));
    py::array_t<float> outputs({n, plan().outputs});
    const float* in = images.data();
    float* out = outputs.mutable_data();
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < n; ++i) model_.Run(in + i * floats, out + i * plan().outputs);
    }
    return outputs;
  }

  py::array_t<double> Measure(size_t repeats) {
    py::array_t<double> seconds(repeats);
    double* out = seconds.mutable_data();
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      model_.Measure(repeats, out);
    }
    return seconds;
  }

  py::array_t<double> MeasureCold(size_t repeats) {
    py::array_t<double> seconds(repeats);
    double* out = seconds.mutable_data();
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      model_.MeasureCold(repeats, out);
    }
    return seconds;
  }

  py::array_t<double> Profile(size_t repeats) {
    py::array_t<double> seconds({repeats, plan().layers.size()});
    double* out = seconds.mutable_data();
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      model_.Profile(repeats, out);
    }
    return seconds;
  }

 private:
  Model model_;
  std::mutex mutex_;
};

py::list Layers(const SharedModel& model) {
  py::list layers;
  for (const PlannedLayer& layer : model.plan().layers) {
    py::dict record;
    record["name"] = layer.name;
    record["op"] = Name(layer.op);
    record["pattern"] = Name(layer.pattern);
    record["activation"] = Name(layer.activation);
    record["inputs"] = layer.inputs;
    record["c_in"] = layer.c_in;
    record["c_out"] = layer.c_out;
    record["height"] = layer.height;
    record["width"] = layer.width;
    record["kernel"] = layer.kernel;
    record["stride"] = layer.stride;
    record["out_height"] = layer.out_height;
    record["out_width"] = layer.out_width;
    record["nonzeros"] = layer.nonzeros;
    record["weights"] = layer.dense_weights();
    record["kernel_name"] = layer.kernel_name;
    record["note"] = layer.note;
    layers.append(record);
  }
  return layers;
}

// Returns the tuned model file, and of each layer what was measured and chosen.
py::tuple TuneFile(const std::string& path, const std::optional<std::string>& isa, size_t threads,
                   const std::function<void(size_t, size_t)>& progress) {
  const Isa chosen = IsaOf(isa);
  const Tuned tuned = [&] {
    const py::gil_scoped_release release;
    return Tune(path, chosen, threads, progress);  // Which takes the lock by itself.
  }();
  py::list layers;
  for (size_t i = 0; i < tuned.plan.layers.size(); ++i) {
    const PlannedLayer& layer = tuned.plan.layers[i];
    py::dict us, record;
    for (uint32_t form = 0; form < kForms; ++form) {
      if (tuned.us[i][form] > 0) us[Name(static_cast<Form>(form))] = tuned.us[i][form];
    }
    record["name"] = layer.name;
    record["form"] = Name(layer.form);
    record["us"] = us;
    record["note"] = layer.note;
    layers.append(record);
  }
  return py::make_tuple(
      py::bytes(reinterpret_cast<const char*>(tuned.bytes.data()), tuned.bytes.size()), layers);
}

py::dict Cpu() {
  py::dict cpu;
  cpu["cpu"] = CpuName();
  cpu["isa"] = IsaName(DefaultIsa());
  cpu["cores"] = CoreCount();
  cpu["l1d_bytes"] = L1DataBytes();
  cpu["l2_bytes"] = L2Bytes();
  return cpu;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "Sparse kernels and the model runtime; use sparsenas.native.";
  module.def("isas", [] {
    std::vector<std::string> names;
    for (const Isa isa : MachineIsas()) names.push_back(IsaName(isa));
    return names;
  });
  module.def("isa", [] { return IsaName(DefaultIsa()); });
  module.def("cpu", &Cpu);
  module.def("build_id", &BuildId);
  module.def("peak_gflops", [] {
    const Isa isa = DefaultIsa();
    const py::gil_scoped_release release;
    return MeasurePeakGflops(isa);
  });
  module.def("pin", &PinToCore);
  module.def("tune", &TuneFile);
#if defined(SPARSENAS_XLA)
  module.def("primitives", &PrimitiveCapsules);
#else
  module.def("primitives", [] { return py::dict(); });
#endif

  py::class_<SharedModel>(module, "Model")
      .def_static(
          "open",
          [](const std::string& path, const std::optional<std::string>& isa, size_t threads) {
            const Isa chosen = IsaOf(isa);
            const py::gil_scoped_release release;
            return std::make_unique<SharedModel>(Model::Open(path, chosen, threads));
          })
      .def_static("from_bytes",
                  [](const py::bytes& data, const std::optional<std::string>& isa,
                     const std::string& name, size_t threads) {
                    const std::string_view bytes = data;
                    return std::make_unique<SharedModel>(
                        Model::FromBytes(bytes.data(), bytes.size(), name, IsaOf(isa), threads));
                  })
      .def_property_readonly("layers", &Layers)
      .def_property_readonly("image",
                             [](const SharedModel& model) {
                               const Plan& plan = model.plan();
                               return py::make_tuple(plan.height, plan.width, plan.channels);
                             })
      .def_property_readonly("input_layout",
                             [](const SharedModel& model) {
                               return model.plan().input_layout == InputLayout::kHwc ? "hwc"
                                                                                     : "chw";
                             })
      .def_property_readonly("classes",
                             [](const SharedModel& model) { return model.plan().classes; })
      .def_property_readonly("outputs",
                             [](const SharedModel& model) { return model.plan().outputs; })
      .def_property_readonly(
          "arena_bytes",
          [](const SharedModel& model) { return model.plan().arena_floats * sizeof(float); })
      .def_property_readonly("weight_bytes",
                             [](const SharedModel& model) { return model.plan().weight_bytes; })
      .def_property_readonly("isa",
                             [](const SharedModel& model) { return IsaName(model.plan().isa); })
      .def_property_readonly("tuning", [](const SharedModel& model) { return model.plan().tuning; })
      .def_property_readonly("threads",
                             [](const SharedModel& model) { return model.plan().threads; })
      .def("run", &SharedModel::Run)
      .def("measure", &SharedModel::Measure)
      .def("measure_cold", &SharedModel::MeasureCold)
      .def("profile", &SharedModel::Profile);
}

}  // namespace sparsenas
