"""From the name of a data set, a folder, an archive or a file to arrays."""

from sparsenas.data.dataset import EMBEDDED as EMBEDDED
from sparsenas.data.dataset import load as load
from sparsenas.data.dataset import read_image as read_image
from sparsenas.data.splits import Data as Data
from sparsenas.data.splits import Report as Report
from sparsenas.data.splits import Split as Split
