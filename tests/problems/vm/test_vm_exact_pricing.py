"""Whether the pricing kernel finds, for every machine, the change that is worth most."""

from itertools import product

import numpy as np
import pytest
from test_vm_exact_against_brute_force import random_cluster, rules_of

from allocenv.problems.vm.exact.columns import Pool
from allocenv.problems.vm.exact.generate import _arguments
from allocenv.problems.vm.exact.kinds import kinds_of
from allocenv.problems.vm.exact.lattice import lattice_of
from allocenv.problems.vm.exact.master import Prices
from allocenv.problems.vm.exact.pricing import best_changes
from allocenv.problems.vm.exact.worth import worth_of
