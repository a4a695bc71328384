"""VM rescheduling: which machines to migrate, and where, so that free cores come in usable chunks."""
