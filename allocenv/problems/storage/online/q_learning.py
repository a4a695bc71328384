"""Q-learning on batches: one output for the return of each action (Mnih et al. 2015)."""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.online.learner import decide, drawn, outputs_begin, run_training
from allocenv.problems.storage.online.network import adam, backward


@inlined
def best_output(a):
    """The action of the highest output in `a.h`; the faster device of equal ones."""
    begin = outputs_begin(a)
    best = 0
    for action in range(1, a.h.size - begin):
        if a.h[begin + action] > a.h[begin + best]:
            best = action
    return best


@kernel
def learn_q(a, m, gamma, rate, batch, random):
    """One step on a batch of experiences; half the mean square of the error before it."""
    begin = outputs_begin(a)
    loss = 0.0
    for _ in range(batch):
        i = drawn(m, random)
        decide(a, m.next_bins[i])
        target = m.reward[i] + gamma * a.h[begin + best_output(a)]
        run_training(a, m.bins[i])
        action = m.action[i]
        error = a.h[begin + action] - target
        loss += 0.5 * error * error
        a.delta[begin + action] = error / batch
        backward(a.sizes, a.training, a.z, a.h, a.delta, a.gradient, action, action + 1)
    adam(a.training, a.gradient, a.mean, a.square, a.steps, rate)
    return loss / batch
