"""Optimizers and schedules that distillation needs."""
