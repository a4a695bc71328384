"""Training of scorers that build solutions candidate by candidate. Knows no problem: a `Construction` is all it sees.

python -m allocenv.agents.constructive train configs/task/gap.toml --seed 0
"""
