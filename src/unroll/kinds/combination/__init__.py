"""Several finished runs decoded as one: ensembles, with a language model at each step or over what was found."""
