"""snnTorch networks: trained as they are (:mod:`.live`), or converted to run all steps at once (:mod:`.convert`)."""
