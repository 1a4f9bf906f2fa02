"""zennit's composites as the rules of LFP, for training and for explanation."""

from lfp_snn.adapters.versions import check_version
from lfp_snn.errors import require

require("zennit", "zennit")
check_version("zennit", "0.5.1", "0.5")

from lfp_snn.adapters.zennit.composite import FromZennit, from_zennit  # noqa: E402
from lfp_snn.adapters.zennit.rules import from_hook  # noqa: E402

__all__ = ["FromZennit", "from_hook", "from_zennit"]
