"""Finds what makes a bill wrong in each server's configuration."""
