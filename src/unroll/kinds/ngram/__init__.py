"""n-gram language models: interpolated modified Kneser-Ney of any order, over any unit.

How a text becomes n-grams depends on `context`. `text`: each text alone, `<s> w1 ... wk </s>`, as KenLM reads the
lines of a file; `<s>` is never predicted. `stream`: one sequence, `</s>` before the first text and after each; a
context may reach over `</s>` into the text before, and there is no `<s>`. The token before the first is never
predicted, in neither.
"""
