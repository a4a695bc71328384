"""Which team leaves next, and when is it better to wait? A policy with few numbers, all of them learnt."""
