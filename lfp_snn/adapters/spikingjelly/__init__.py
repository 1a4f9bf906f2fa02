"""SpikingJelly networks: trained as they are (:mod:`.live`), or converted (:mod:`.convert`)."""

from lfp_snn.adapters.versions import check_version
from lfp_snn.errors import require

require("spikingjelly", "spikingjelly")
check_version("spikingjelly", "2.0", "2.0")

from lfp_snn.adapters.spikingjelly.convert import from_spikingjelly  # noqa: E402

__all__ = ["from_spikingjelly"]
