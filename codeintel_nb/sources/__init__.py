"""Readers of repositories: file walk, ignore rules, definitions and chunks."""
