"""Greedy moves, slowly: the best single legal move, until none gains or `n` are made."""

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.replay import Replay


def greedy_moves(cluster: Cluster, rules: Rules, n: int) -> list[tuple[int, int, int]]:
    """Up to `n` moves (vm, pm, variant), each the one that lowers the objective most."""
    moves: list[tuple[int, int, int]] = []
    replay = Replay(cluster, rules)
    while len(moves) < n:
        best, chosen = replay.objective() - 1e-12, None
        for vm in range(cluster.n_vms):
            home = int(replay.bin_of[vm]), int(replay.variant_of[vm])
            for pm in range(cluster.n_pms):
                for variant in range(int(cluster.n_variants[cluster.shape_of[vm]])):
                    if replay.obstacle(vm, pm, variant) is None:
                        replay.move(vm, pm, variant)
                        if replay.objective() < best:
                            best, chosen = replay.objective(), (vm, pm, variant)
                        replay.move(vm, *home)
        if chosen is None:
            break
        replay.move(*chosen)
        moves.append(chosen)
    return moves
