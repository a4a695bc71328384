"""The agent of the task allocation paper: entities are assigned to tasks first, then teams are chosen among them.

Source: Gong et al., "A two-stage reinforcement learning-based approach for multi-entity task allocation", 2024
(arXiv 2407.00496), rebuilt from facts/task_allocation.md, section 2, without the faults of section 6.
"""
