"""The report: one page, no network, for readers of any eyesight, by day and by night. Begin with `page.py`."""
