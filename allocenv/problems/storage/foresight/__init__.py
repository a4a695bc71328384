"""Our own agent: foresees what a page will save, admits and evicts by it, and falls back on simple rules.

Start with `agent.py`; `replay.py` is the loop, `prediction.py` what is learnt, `choice.py` how it decides.
"""
