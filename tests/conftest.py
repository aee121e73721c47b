"""Settings of all tests."""

import os

# A vector that meets a batch of images by accident is an error. Read when JAX is imported. Not its sister for
# dtypes: optax mixes integers and floats.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
