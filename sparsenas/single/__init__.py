"""Trains one architecture alone, and leaves a model file, its weights and what is known of it in a folder.

config.json    settings, architecture, versions
checkpoints/   the training as it was a while ago, to go on from
best/          model.snas, arch.json, weights.safetensors
summary.json   what came out
"""
