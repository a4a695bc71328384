"""Multi-entity task allocation: which entities form which team, for which task, and when it pays to wait."""
