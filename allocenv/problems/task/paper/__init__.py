"""Paper mode: time passes step for step as in the published environments (arXiv 2407.00496), quirks included."""
