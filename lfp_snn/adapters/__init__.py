"""Networks from elsewhere: as they are, or converted."""
