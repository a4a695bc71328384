"""The slow, obvious twin of the learner simulator, from section 6 of the facts: plain Python, a prompt at a time."""

import math

MASK = 2**64 - 1


def next_bits(state):
    """xorshift64* (Vigna 2016) on whole numbers of Python: new state, 63 bits."""
    state ^= state >> 12
    state ^= (state << 25) & MASK
    state ^= state >> 27
    return state, ((state * 2685821657736338717) & MASK) >> 1


class SlowLearner:
    """One learner. Constants and traits are given, nothing is drawn but the rollouts."""

    def __init__(self, nature, pupil, reference_signal, reference_effective, direct_extra):
        self.nature, self.pupil = nature, pupil
        self.reference = reference_signal, reference_effective
        self.direct_extra = direct_extra
        self.theta = 0.0
        self.progress = 0.0
        self.direct = [0.0] * len(pupil.ease)
        self.t = 0

    def rate(self, i):
        x = self.pupil.slope[i] * self.theta + self.direct[i] + self.pupil.ease[i]
        if x > 0:
            x *= 1 + self.nature.sharpening * self.progress
        slips = self.nature.slips * math.exp(-self.t / self.nature.slip_steps)
        return (1 - slips) / (1 + math.exp(-x))

    def mean_rate(self):
        return sum(self.rate(i) for i in range(len(self.direct))) / len(self.direct)

    def correct(self, i, n, state):
        """Correct ones of n rollouts, and the generator afterwards."""
        k = 0
        for _ in range(n):
            state, bits = next_bits(state)
            k += bits < self.rate(i) * 2**63
        return k, state

    def update(self, prompts, rollouts, correct):
        """One step; the gain in mean rate."""
        before = self.mean_rate()
        total = sum(rollouts)
        deviation = [math.sqrt(k / n * (1 - k / n)) if n else 0.0 for n, k in zip(rollouts, correct, strict=True)]
        signal = sum(n * s for n, s in zip(rollouts, deviation, strict=True)) / total if total else 0.0
        effective = sum(n for n, s in zip(rollouts, deviation, strict=True) if s > 0) / total if total else 0.0
        if signal > 0:
            kind = self.pupil.kind

            def length(signal, effective):
                return 1.0 if kind.plain else math.sqrt(signal**2 + kind.noise * effective / total)

            eta = self.nature.pace * (1 + self.nature.early * math.exp(-self.t / self.nature.early_steps))
            eta /= self.reference[0] / length(*self.reference)
            eta /= 1 + self.direct_extra * kind.directness
            common = eta * signal / length(signal, effective)
            self.theta += (1 - kind.directness) * common
            self.progress += common
            for i, n, s in zip(prompts, rollouts, deviation, strict=True):
                own = eta * n * s * len(self.direct) / total / length(signal, effective)
                self.direct[i] += kind.directness * own
        self.t += 1
        return self.mean_rate() - before
