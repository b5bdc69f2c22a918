"""What is measured: one script a question, each against its peer in the same run.

Each says in one line what it lacks, before it measures anything (`needs`); prints each row as it is
measured; and adds it to the file of `--out`, as a line of JSON (`rows`).

Everything that an accelerator does, in one command of at most 8 minutes:

    python -m benchmarks.accelerator --out accelerator.jsonl

Those that tell more of it, in minutes on one card:

    python -m benchmarks.all_tasks --width 4096 --passes 2
    python -m benchmarks.projection --dtype bfloat16 --models MODEL MODEL ...
    python -m benchmarks.embedding
    python -m benchmarks.embedding --families
    python -m benchmarks.attention --dtype bfloat16
    python -m benchmarks.few_shot --width 1024
    python -m benchmarks.probes --only 5000,2560,2 20000,512,4
"""
