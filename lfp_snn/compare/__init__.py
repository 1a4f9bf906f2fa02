"""Comparisons of methods and searches for hyper-parameters: many runs, in processes of their own."""
