"""Searches `tiny` on handwritten digits: what `make demo` runs.

Command: sparsenas search --experiment digits
"""

from sparsenas.search_settings import SearchSettings

EXPERIMENT = SearchSettings(space="tiny", dataset="digits")
