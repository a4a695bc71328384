# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARK := $(VENV)/.installed

.PHONY: setup demo test check bench readme clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

setup: $(MARK)  ## create .venv and install the pinned versions

$(MARK): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/allocenv warm vm
	touch $(MARK)

demo: setup  ## train briefly, compare, plan; on $$ALLOCENV_DATA where set, else on made-up clusters
	$(BIN)/allocenv demo

test: setup  ## run the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: setup  ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## measure every bar of every problem (hours, on an idle machine)
	$(BIN)/allocenv bench vm
	$(BIN)/allocenv bench storage
	$(BIN)/allocenv bench task
	$(BIN)/allocenv bench budget
	$(BIN)/allocenv bench engines

READ = --readme README.md --out tests/data/readme
readme: setup  ## measure and write every table of README.md (20 minutes, on an idle machine, needs $$ALLOCENV_DATA)
	$(BIN)/allocenv evaluate vm --instances t1 --against all --seconds 1 $(READ)/vm-instances
	$(BIN)/allocenv evaluate storage --trace cloudphysics --devices H,M --seeds 3 $(READ)/storage \
		--policies slow_only,lru,lru_p05,s3fifo,cde,harmonia,sibyl,foresight,oracle_tuned_lru,oracle_cost_aware
	$(BIN)/allocenv evaluate task --preset rbf --instances held_out --limit 200 $(READ)/task \
		--against learnt,tuned_patience,rate_margin,greedy,random_teams,upper_bound
	$(BIN)/allocenv evaluate budget $(READ)/budget \
		--rules uniform,dapo,knapsack_rl,gvm,vip,hora,pilot_commit,reinforce_ada_balance,cero,posterior,rasch,oracle_exact

clean:  ## remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info out runs
