"""Norse networks: trained as they are (:mod:`.live`), or converted to run all steps at once (:mod:`.convert`)."""

from lfp_snn.adapters.versions import check_version
from lfp_snn.errors import require

require("norse", "norse")
check_version("norse", "1.1", "1.1")

from lfp_snn.adapters.norse.convert import from_norse  # noqa: E402

__all__ = ["from_norse"]
