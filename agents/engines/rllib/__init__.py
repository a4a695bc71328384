"""How an agent of this library trains on RLlib: runners roll out, learners update, one set of weights."""
