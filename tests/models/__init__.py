"""Tests of the recipes in models/."""
