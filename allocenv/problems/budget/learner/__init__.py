"""How does a learner's success on each prompt change with the rollouts it gets? A simulator fitted to a real run."""

from allocenv.problems.budget.learner.dynamics import Learner as Learner
from allocenv.problems.budget.learner.dynamics import Pupil as Pupil
from allocenv.problems.budget.learner.dynamics import draw_pupil as draw_pupil
from allocenv.problems.budget.learner.dynamics import empty_learners as empty_learners
from allocenv.problems.budget.learner.dynamics import enroll as enroll
from allocenv.problems.budget.learner.presets import REAL_RUN as REAL_RUN
from allocenv.problems.budget.learner.presets import Kind as Kind
from allocenv.problems.budget.learner.presets import Nature as Nature
