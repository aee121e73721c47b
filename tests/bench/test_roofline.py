import math
import xml.etree.ElementTree

from sparsenas.bench.roofline import least_bytes, roofline_svg


def record(pattern, sparsity, *, cache="hot", threads=1, rate=20.0):
    return {
        "op": "conv1x1", "pattern": pattern, "c_in": 64, "c_out": 64, "height": 28, "width": 28, "kernel": 1,
        "stride": 1, "sparsity": sparsity, "isa": "avx2", "kernel_name": f"conv1x1_{pattern}_avx2",
        "us": 2e-3 * 64 * 64 * (1 - sparsity) * 784 / rate, "useful_gflops": rate,
        "fraction_of_peak": rate / 100, "cache": cache, "threads": threads,
    }  # fmt: skip


def test_bytes_are_weights_with_their_places_input_and_output():
    activations = 2 * 64 * 784
    assert math.isclose(least_bytes(record("dense", 0.0)), 4 * (64 * 64 + activations))
    assert math.isclose(least_bytes(record("unstructured", 0.5)), 4 * (64 * 64 + activations))
    assert math.isclose(least_bytes(record("block4", 0.5)), 4 * (64 * 64 / 2 * 1.25 + activations))


def test_each_hot_record_is_a_mark_that_says_what_it_is():
    patterns = ("dense", "unstructured", "block2", "block4", "direct", "pattern")
    records = [record(pattern, 0.0 if pattern == "dense" else 0.9) for pattern in patterns]
    result = {
        "machine": {"cpu": "a & b", "isa": "avx2", "peak_gflops": 100.0},
        "records": [*records, record("dense", 0.0, cache="cold"), record("dense", 0.0, threads=2)],
    }
    svg = roofline_svg(result, {"memory": 10.0})
    root = xml.etree.ElementTree.fromstring(svg)
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "Roofline of avx2 kernels on a & b, one core, hot caches"
    assert len(titles) == 1 + len(patterns)
    assert "conv1x1_block4_avx2, 64x64 at 28x28, 90% zeros: 20 GFLOP/s, 20% of peak" in titles
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "memory, 10 GB/s" in texts
    assert "multiply-adds, 100 GFLOP/s" in texts
    assert "4x1 blocks" in texts
