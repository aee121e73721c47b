"""An HTTP service that predicts latencies: `sparsenas serve`."""
