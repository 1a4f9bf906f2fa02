"""snnTorch networks: trained as they are (:mod:`.live`), or converted to run all steps at once (:mod:`.convert`)."""

from lfp_snn.adapters.versions import check_version
from lfp_snn.errors import require

require("snntorch", "snntorch")
check_version("snntorch", "0.9.4", "1.0")

from lfp_snn.adapters.snntorch.convert import from_snntorch  # noqa: E402

__all__ = ["from_snntorch"]
