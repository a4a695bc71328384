"""How likely is each prompt to be solved now? Estimators of drifting success rates, under one protocol."""

from allocenv.problems.budget.estimators.discounted_beta import DiscountedBeta as DiscountedBeta
from allocenv.problems.budget.estimators.estimator import Estimator as Estimator
from allocenv.problems.budget.estimators.item_response import ItemResponse as ItemResponse
from allocenv.problems.budget.estimators.window import LastRewards as LastRewards
