"""How sure a score is: replicates under three questions, and what is concluded from them.

Would other test records (`other_records`), other few-shot draws (`other_shots`) or other tasks of
the same kinds (`other_tasks`) have given another score? Each module returns replicates: float
[B, M], B equally likely values of the scores of M models that were drawn together, so that a
difference of two models is a difference of their columns. `comparing` makes intervals, ranks,
probabilities and groups of any of them. Functions of arrays; no files.
"""
