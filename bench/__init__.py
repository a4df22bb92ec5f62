"""Benchmarks, one command per question: `python -m bench.core --help`. docs/performance.md says what each answers."""
