"""Reasoning budget: how many rollouts does each prompt get? Values, exact allocation, estimators, rules, replay."""
