"""What all problems share: the resource state, the batch, the protocols, search. Knows no problem."""
