"""Networks in the Neuromorphic Intermediate Representation (NIR, arXiv 2311.14641): written, and read."""

from lfp_snn.adapters.versions import check_version
from lfp_snn.errors import require

require("nir", "nir")
check_version("nir", "1.0.8", "1.0")

from lfp_snn.adapters.nir.export import to_nir  # noqa: E402
from lfp_snn.adapters.nir.graph import Graph  # noqa: E402
from lfp_snn.adapters.nir.load import from_nir  # noqa: E402

__all__ = ["Graph", "from_nir", "to_nir"]
